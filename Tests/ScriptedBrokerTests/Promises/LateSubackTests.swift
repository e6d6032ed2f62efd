// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A SUBACK that comes after its caller has gone counts for the others", .turn(.scripted), .timeLimit(.minutes(1)))
struct LateSubackTests {
    /// Runs a consumer of "a", and `body` beside it. In the end the broker has answered each SUBSCRIBE, and a resumed session lacks
    /// nothing.
    private func withConsumer(
        _ broker: ScriptedBroker, _ body: @escaping @Sendable (MQTTClient) async throws -> Void
    ) async throws {
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        configuration.receiving.maximumFiltersPerSubscribe = 1
        try await withRunningClient(configuration) { client, _ in
            let consumer = Task {
                try await client.subscribe(to: "a") { _ in
                    try await body(client)
                    #expect(broker.count(of: .subscribe) == 2)
                    broker.answerLastSubscribe([1])
                    try await client.publish("x", to: "other")
                    broker.resetAll()
                    #expect(await broker.waitUntil { $0.connects.count == 2 })
                    try await client.publish("x", to: "other")
                    #expect(broker.count(of: .subscribe) == 2)
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.answerLastSubscribe([1])
            try await consumer.value
        }
        await broker.stop()
    }

    @Test func `by cancellation (delivery 11)`() async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        try await withConsumer(broker) { client in
            let call = Task { try await client.subscribe(to: "a") { _ in } }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 2 })
            call.cancel()
            let error = await #expect(throws: MQTTError.self) { try await call.value }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func `since another of its filters cannot be sent (delivery 11)`() async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        // Wildcard Subscription Available (MQTT 5.0, section 3.2.2.3.11): no.
        broker.connackProperties = [0x28, 0]
        try await withConsumer(broker) { client in
            let error = await #expect(throws: MQTTError.self) { try await client.subscribe(to: "a", "w/#") { _ in } }
            #expect(error?.reasonCode == .wildcardSubscriptionsNotSupported)
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 2 })
        }
    }
}
