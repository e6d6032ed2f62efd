// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@Suite("A broker that is killed under load and restarted", .turn(.brokers))
struct KilledBrokerTests {
    static let sessions: [(MQTTVersion, MQTTSession)] = [
        (.v3_1_1, .clean), (.v3_1_1, .persistent), (.v5_0, .clean), (.v5_0, .persistent),
    ]

    @Test(arguments: sessions, Wire.secure)
    func `all publishes complete, subscriptions work again, and no QoS 2 message comes twice`(
        form: (version: MQTTVersion, session: MQTTSession), wire: Wire
    ) async throws {
        let broker = try await Broker.start(wire)
        var configuration = broker.configuration(version: form.version)
        configuration.session = form.session
        // Messages that the killed broker had acknowledged are lost with it.
        _ = try await publishThroughInterruptions(configuration) {
            broker.mosquitto.kill()
            try await broker.mosquitto.restart()
        }
    }
}
