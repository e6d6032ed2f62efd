// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

extension EventLog {
    fileprivate var resubscribed: [[String]] {
        events.compactMap { if case .resubscribed(let filters) = $0.kind { filters } else { nil } }
    }
}

@Suite("A filter that the CONNACK of a reconnect rules out", .turn(.scripted), .timeLimit(.minutes(1)))
struct RuledOutFilterTests {
    /// Wildcard Subscription Available (MQTT 5.0, section 3.2.2.3.11): no.
    private static let withoutWildcards: [UInt8] = [0x28, 0]

    @Test func `ends the sequence of its consumer, with the reason (delivery 7)`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, log in
            let error = await #expect(throws: MQTTError.self) {
                try await client.subscribe(to: "w/#") { messages in
                    broker.connackProperties = Self.withoutWildcards
                    broker.resetAll()
                    for await _ in messages {}
                }
            }
            #expect(error?.code == .operationRefused)
            #expect(error?.reasonCode == .wildcardSubscriptionsNotSupported)
            #expect(error?.refusedFilters == ["w/#"])
            #expect(await log.wait { $0.refusals.map(\.filter) == ["w/#"] })
            try await client.publish("x", to: "other")
            #expect(broker.count(of: .unsubscribe) == 0)
        }
        await broker.stop()
    }

    @Test func `is told of, and its consumer goes on with the others (delivery 7)`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, log in
            try await client.subscribe(to: "w/#", "a") { messages in
                broker.connackProperties = Self.withoutWildcards
                broker.resetAll()
                #expect(await log.wait { $0.refusals.map(\.filter) == ["w/#"] && $0.resubscribed == [["a"]] })
                broker.publish(topic: "a", payload: "1", qos: 1)
                #expect(await messages.first { _ in true }?.payloadString == "1")
                broker.connackProperties = []
                broker.resetAll()
                #expect(await log.wait { $0.resubscribed.last.map(Set.init) == ["a", "w/#"] })
            }
        }
        await broker.stop()
    }

    @Test func `is not unsubscribed from where it never was asked for (delivery 7)`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.connackProperties = Self.withoutWildcards
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let error = await #expect(throws: MQTTError.self) { try await client.subscribe(to: "w/#") { _ in } }
            #expect(error?.reasonCode == .wildcardSubscriptionsNotSupported)
            try await client.publish("x", to: "other")
            #expect(broker.count(of: .subscribe) == 0)
            #expect(broker.count(of: .unsubscribe) == 0)
        }
        await broker.stop()
    }

    @Test func `"subscribed again" names only what the broker has granted (delivery 7)`() async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, log in
            let consumer = Task {
                try await client.subscribe(to: "a", "b") { messages in
                    await broker.resubscribe([1, 0x87])
                    #expect(await log.wait { $0.resubscribed == [["a"]] })
                    await broker.resubscribe([0x87, 0x87])
                    for await _ in messages {}
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.answerLastSubscribe([1, 1])
            await #expect(throws: MQTTError.self) { try await consumer.value }
            #expect(await log.resubscribed == [["a"]])
        }
        await broker.stop()
    }
}
