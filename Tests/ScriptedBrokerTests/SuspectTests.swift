// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("An operation that ended the connection fails, and the others go on", .turn(.scripted), .timeLimit(.minutes(1)))
struct SuspectTests {
    /// The reason of the broker's refusal; `nil` if it did not refuse.
    private func reason(_ task: Task<Void, any Error>) async -> MQTTReasonCode? {
        guard case .failure(let error) = await task.outcome, let error = error as? MQTTError else { return nil }
        #expect(error.code == .operationRefused)
        return error.reasonCode
    }

    @Test func `a topic filter that ended the connection is not subscribed to again`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.subscribe, count: 1, reasonCode: 0x8F), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            let subscription = Task { try await client.subscribe(to: "bad/filter") { _ in } }
            #expect(await reason(subscription) == .topicFilterInvalid)
            #expect(await log.wait { $0.connections.count == 2 })
            let message = try await client.subscribe(to: "good") { messages in
                try await client.publish("x", to: "good")
                return await messages.first { _ in true }
            }
            #expect(message?.payloadString == "x")
            #expect(broker.receivedPackets.filter { $0.type == .subscribe }.count == 2)
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [
        (UInt8(0x9E), MQTTTopicFilter("$share/group/a"), MQTTReasonCode.sharedSubscriptionsNotSupported),
        (0xA2, MQTTTopicFilter("a/#"), .wildcardSubscriptionsNotSupported),
    ])
    func `a kind of filter that the broker does not have fails, and another one is made again`(
        code: UInt8, filter: MQTTTopicFilter, reasonCode: MQTTReasonCode
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.subscribe, count: 2, reasonCode: code), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            // Another QoS makes it a SUBSCRIBE of its own, whether there is a connection already or not.
            let refused = Task {
                try await client.subscribe(to: MQTTSubscription(filter, qos: .exactlyOnce)) { _ in }
            }
            let answered = Task {
                try await client.subscribe(to: "plain") { messages in
                    try await client.publish("x", to: "plain")
                    return await messages.first { _ in true }?.payloadString
                }
            }
            #expect(await reason(refused) == reasonCode)
            let payload = try await answered.outcome.get()
            #expect(payload == "x")
            #expect(await log.wait { $0.connections.count == 2 })
        }
        await broker.stop()
    }

    /// Publishes each message, waits until all are on the wire, and returns their outcomes.
    private func publish(
        _ messages: [(payload: String, qos: MQTTQoS, retain: Bool)], refusedWith code: UInt8, session: MQTTSession
    ) async throws -> (reasons: [MQTTReasonCode?], delivered: Set<String>) {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.publish, count: messages.count, reasonCode: code), .serve])
        var configuration = testConfiguration(port: broker.port)
        configuration.session = session
        let reasons = try await withRunningClient(configuration) { client, log in
            let tasks = messages.map { message in
                Task {
                    _ = try await client.publish(message.payload, to: "a", qos: message.qos, retain: message.retain)
                }
            }
            var reasons: [MQTTReasonCode?] = []
            for task in tasks { reasons.append(await reason(task)) }
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.violation == nil)
            return reasons
        }
        let delivered = Set(broker.routedMessages.map(\.text))
        await broker.stop()
        return (reasons, delivered)
    }

    @Test func `a retained message that ended the connection fails, and the others arrive`() async throws {
        let outcome = try await publish(
            [("one", .atLeastOnce, false), ("kept", .atLeastOnce, true), ("two", .atLeastOnce, false)],
            refusedWith: 0x9A, session: .clean)
        #expect(outcome.reasons == [nil, .retainNotSupported, nil])
        #expect(outcome.delivered == ["one", "two"])
    }

    @Test func `in a persistent session it is sent again, with the state of the others`() async throws {
        let outcome = try await publish(
            [("one", .exactlyOnce, false), ("kept", .exactlyOnce, true), ("two", .atLeastOnce, false)],
            refusedWith: 0x9A, session: .persistent)
        #expect(outcome.reasons == [nil, nil, nil])
        #expect(outcome.delivered == ["one", "kept", "two"])
    }

    @Test func `the largest message fails when one was too large`() async throws {
        let large = String(repeating: "x", count: 5_000)
        let outcome = try await publish(
            [("small", .atLeastOnce, false), (large, .atLeastOnce, false), ("medium", .atLeastOnce, false)],
            refusedWith: 0x95, session: .clean)
        #expect(outcome.reasons == [nil, .packetTooLarge, nil])
        #expect(outcome.delivered == ["small", "medium"])
    }

    @Test func `messages of the highest QoS fail when the broker does not have it`() async throws {
        let outcome = try await publish(
            [("one", .atLeastOnce, false), ("two", .exactlyOnce, false), ("again", .atLeastOnce, false)],
            refusedWith: 0x9B, session: .clean)
        #expect(outcome.reasons == [nil, .qosNotSupported, nil])
        #expect(outcome.delivered == ["one", "again"])
    }

    @Test(arguments: [UInt8(0x93), 0x96])
    func `a broker that was sent too much is sent half as much at once`(code: UInt8) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [
                .disconnectOn(.publish, count: 8, reasonCode: code), .disconnectOn(.publish, count: 100, reasonCode: 0),
            ])
        var configuration = testConfiguration(port: broker.port)
        configuration.publishing.maximumInFlight = 8
        configuration.timeouts.drain = .zero
        try await withRunningClient(configuration) { client, log in
            for number in 0..<20 { try client.enqueue("\(number)", to: "a") }
            #expect(await log.wait { $0.connections.count == 2 })
            @Sendable func sent(on connection: Int) -> Int {
                broker.receivedPackets.count { $0.type == .publish && $0.connection == connection }
            }
            #expect(await broker.waitUntil { _ in sent(on: 1) >= 4 })
            // A packet that the broker answers follows everything else that the client would have sent.
            _ = try await client.subscribe(to: "b") { _ in }
            #expect(sent(on: 0) == 8)
            #expect(sent(on: 1) == 4)
            #expect(broker.connects.count == 2)
        }
        await broker.stop()
    }
}
