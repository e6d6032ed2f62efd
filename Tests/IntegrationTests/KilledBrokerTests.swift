// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A broker that is killed under load and restarted", .turn(.brokers))
struct KilledBrokerTests {
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [MQTTSession.clean, .persistent])
    func `all publishes complete, subscriptions work again, and no QoS 2 message comes twice`(
        version: MQTTVersion, session: MQTTSession
    ) async throws {
        let broker = try await Broker.start()
        var configuration = broker.configuration(version: version)
        configuration.session = session
        let fixed = configuration
        try await withMQTTClient(fixed, logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("load/#", qos: .exactlyOnce)) { messages in
                let exactlyOnce = Tally()
                let collect = Task {
                    for await message in messages {
                        if message.topic == "load/2", let number = Int(message.payloadString) {
                            exactlyOnce.add(number)
                        }
                        if message.topic == "load/end" { return true }
                    }
                    return false
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<20 {
                        group.addTask {
                            for number in 0..<100 {
                                let id = worker * 100 + number
                                try await client.publish("\(id)", to: "load/1", qos: .atLeastOnce)
                                try await client.publish("\(id)", to: "load/2", qos: .exactlyOnce)
                            }
                        }
                    }
                    for _ in 0..<2 {
                        let seen = exactlyOnce.distinct
                        #expect(await eventually(pollEvery: .milliseconds(1)) { exactlyOnce.distinct > seen + 100 })
                        broker.mosquitto.kill()
                        try await broker.mosquitto.restart()
                    }
                    try await group.waitForAll()
                }
                try await client.publish("end", to: "load/end", qos: .exactlyOnce)
                #expect(await collect.value, "the subscription works after the restarts")
                #expect(exactlyOnce.duplicates.isEmpty, "twice: \(exactlyOnce.duplicates)")
            }
        }
    }
}
