// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A publish that a real mosquitto ends connections over", .turn(.brokers))
struct OversizedPublishTests {
    /// With MQTT 5.0 the broker announces its maximum packet size, and the client refuses larger packets. With MQTT
    /// 3.1.1 the broker can only close the connection.
    @Test func `fails, since it is too large, and the client goes on (core 7)`() async throws {
        let broker = try await Broker.start(extraConfiguration: "max_packet_size 10000")
        var configuration = broker.configuration(version: .v3_1_1)
        configuration.retry.maximumDelay = .milliseconds(100)
        configuration.retry.budget = nil
        try await withMQTTClient(configuration, logger: quiet) { client in
            let error = await #expect(throws: MQTTError.self) {
                try await client.publish([UInt8](repeating: 1, count: 8 << 20), to: "large")
            }
            #expect(error?.code == .endsConnection)
            #expect(error?.message.contains("\"large\"") == true)
            try await client.publish("small", to: "small", qos: .exactlyOnce)
        }
    }
}
