// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("What a broker cannot do is an error of the call, for as long as it says so", .turn(.scripted))
struct BrokerLimitTests {
    @Test func `limits of one CONNACK are forgotten with the next`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        // Maximum QoS 1, no retained messages, packets of 100 bytes, no wildcards, no shared subscriptions.
        broker.connackProperties = [0x24, 1, 0x25, 0, 0x27, 0, 0, 0, 100, 0x28, 0, 0x2A, 0]
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        let large = [UInt8](repeating: 1, count: 200)
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            func refusal(_ body: () async throws -> Void) async -> MQTTReasonCode? {
                do { try await body() } catch { return (error as? MQTTError)?.reasonCode }
                return nil
            }
            #expect(await refusal { try await client.publish("x", to: "a", qos: .exactlyOnce) } == .qosNotSupported)
            #expect(await refusal { try await client.publish("x", to: "a", retain: true) } == .retainNotSupported)
            #expect(await refusal { try await client.publish(large, to: "a") } == .packetTooLarge)
            #expect(
                await refusal { try await client.subscribe(to: "a/#") { _ in } }
                    == .wildcardSubscriptionsNotSupported)
            #expect(
                await refusal { try await client.subscribe(to: "$share/g/a") { _ in } }
                    == .sharedSubscriptionsNotSupported)
            #expect(broker.publishes.isEmpty)
            #expect(broker.count(of: .subscribe) == 0)

            broker.connackProperties = []
            broker.resetAll()
            #expect(await broker.waitUntil { $0.connects.count >= 2 })
            try await client.publish("1", to: "a", qos: .exactlyOnce)
            try await client.publish("2", to: "a", retain: true)
            try await client.publish(large, to: "a")
            try await client.subscribe(to: "a/#", "$share/g/a") { _ in }
            #expect(broker.publishes.count == 3)
        }
        await broker.stop()
    }

    @Test func `topics get aliases, within the broker's maximum and their connection`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        broker.connackProperties = [0x22, 0, 2]
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            let topics: [MQTTTopic] = [
                "a/topic/that/is/long", "another/one/that/is/too", "one/too/many/for/the/broker",
            ]
            for round in 0..<3 {
                for topic in topics {
                    for qos in [MQTTQoS.atMostOnce, .atLeastOnce] {
                        try await client.publish("\(round)", to: topic, qos: qos)
                    }
                }
                // A short topic has none.
                try await client.publish("\(round)", to: "a")
            }
            #expect(await broker.waitUntil { $0.publishes.count == 21 })
            for topic in topics { #expect(broker.publishes.count { $0.topic == topic.name } == 6) }
            let packets = broker.receivedPackets.filter { $0.type == .publish }
            #expect(packets.count { $0.bytes[2...3] == [0, 0] } == 10)
            broker.resetAll()
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            try await client.publish("after", to: topics[0])
            #expect(broker.publishes.last?.topic == topics[0].name)
            #expect(broker.errors.isEmpty)
        }
        await broker.stop()
    }
}
