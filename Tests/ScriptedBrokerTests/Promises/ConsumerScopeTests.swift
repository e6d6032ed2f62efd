// SPDX-License-Identifier: Apache-2.0

import Logging
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// The way in which the body of a subscription ends.
enum ScopeEnding: String, Sendable, CaseIterable {
    case returns, throwsError, isCancelled

    struct Failure: Error {}

    /// Subscribes to "a", takes a message, and ends the body in this way.
    func take(_ client: MQTTClient, _ qos: MQTTQoS = .exactlyOnce) async -> String? {
        let task = Task {
            var seen: String?
            try? await client.subscribe(to: MQTTSubscription("a", qos: qos)) { messages in
                var iterator = messages.makeAsyncIterator()
                seen = await iterator.next()?.payloadString
                switch self {
                case .returns: return
                case .throwsError: throw Failure()
                case .isCancelled:
                    withUnsafeCurrentTask { $0?.cancel() }
                    _ = await iterator.next()
                    try Task.checkCancellation()
                }
            }
            return seen
        }
        return await task.value
    }
}

@Suite(
    "A consumer's scope is not its subscription, in a persistent session (D1)", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct ConsumerScopeTests {
    private func configuration(
        _ broker: ScriptedBroker, _ acknowledgement: MQTTAcknowledgement = .onReceipt, _ version: MQTTVersion = .v5_0
    ) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        return configuration
    }

    private func texts(_ client: MQTTClient, _ count: Int, _ filter: MQTTTopicFilter = "a") async throws -> [String] {
        try await client.subscribe(to: MQTTSubscription(filter, qos: .exactlyOnce)) { messages in
            var seen: [String] = []
            for await message in messages {
                seen.append(message.payloadString)
                if seen.count == count { break }
            }
            return seen
        }
    }

    @Test(arguments: ScopeEnding.allCases, [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `the end of the scope sends no UNSUBSCRIBE, and what comes then waits for the next consumer`(
        ending: ScopeEnding, acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker, acknowledgement)) { client, _ in
            async let first = ending.take(client)
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.publish(topic: "a", payload: "0", qos: 1)
            #expect(await first == "0")
            for number in 1..<5 { broker.publish(topic: "a", payload: "\(number)", qos: UInt8(number % 2 + 1)) }
            try await client.publish("x", to: "other")
            let acknowledged = broker.count(of: .puback) + broker.count(of: .pubrec)
            #expect(acknowledged <= 1, "what no consumer has is not acknowledged")
            let seen = try await texts(client, 4)
            #expect(seen == ["1", "2", "3", "4"])
            #expect(await broker.waitUntil { $0.count(of: .puback) >= 2 && $0.count(of: .pubrec) == 2 })
            #expect(broker.count(of: .unsubscribe) == 0)
        }
        await broker.stop()
    }

    @Test(arguments: MQTTVersion.allCases)
    func `what came after the scope comes again to the next run, if nobody took it`(version: MQTTVersion) async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker, .onReceipt, version)
        try await withRunningClient(configuration) { client, _ in
            async let first = ScopeEnding.returns.take(client)
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.publish(topic: "a", payload: "0", qos: 2)
            #expect(await first == "0")
            for number in 1..<50 { broker.publish(topic: "a", payload: "\(number)", qos: UInt8(number % 2 + 1)) }
            // After this round trip the messages have most likely arrived.
            try await client.publish("x", to: "other")
        }
        for number in 50..<100 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        try await withRunningClient(configuration) { client, _ in
            let seen = try await texts(client, 99)
            #expect(seen == (1..<100).map(String.init))
        }
        #expect(broker.count(of: .unsubscribe) == 0)
        await broker.stop()
    }

    @Test(arguments: [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `what the buffer had not handed out is for the next consumer of the filter`(
        acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker, acknowledgement)) { client, _ in
            let seen = try await client.subscribe(to: "a") { messages in
                for number in 0..<20 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                var iterator = messages.makeAsyncIterator()
                var seen = [await iterator.next()?.payloadString]
                // All of them are in the buffer.
                #expect(await eventually { !messages.isIdle })
                try await client.publish("x", to: "other")
                for _ in 1..<5 { seen.append(await iterator.next()?.payloadString) }
                return seen.compactMap { $0 }
            }
            #expect(seen == (0..<5).map(String.init))
            // A consumer of another filter does not receive the unread messages.
            try await client.subscribe(to: "+") { messages in #expect(messages.isIdle) }
            let rest = try await texts(client, 15)
            #expect(rest == (5..<20).map(String.init))
            #expect(await broker.waitUntil { $0.count(of: .puback) == 20 })
        }
        await broker.stop()
    }

    @Test func `unsubscribe() ends it at the broker, and so does unsubscribe(from:) after the scope`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.subscribe(to: "a") { messages in
                let codes = try await messages.unsubscribe()
                #expect(codes == [.success])
            }
            #expect(broker.count(of: .unsubscribe) == 1)
            var ended: MQTTMessages?
            try await client.subscribe(to: "a", "b") { messages in
                ended = messages
                let error = await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: ["b"]) }
                #expect(error?.code == .invalidTopicFilter, "a consumer has it")
            }
            #expect(broker.count(of: .unsubscribe) == 1)
            let codes = try await client.unsubscribe(from: ["b"])
            #expect(codes == [.success])
            #expect(broker.count(of: .unsubscribe) == 2)
            let again = try await ended?.unsubscribe()
            #expect(again == [.success, .success])
            #expect(broker.count(of: .unsubscribe) == 3)
        }
        await broker.stop()
    }

    @Test func `what waits for a filter that is ended is acknowledged and discarded`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.subscribe(to: "a") { _ in }
            for _ in 0..<3 { broker.publish(topic: "a", payload: "x", qos: 1) }
            try await client.publish("x", to: "other")
            #expect(broker.count(of: .puback) == 0)
            try await client.unsubscribe(from: ["a"])
            #expect(await broker.waitUntil { $0.count(of: .puback) == 3 })
            // A message that the broker still had in flight.
            broker.inject([0x32, 6, 0, 1, 0x61, 0, 77, 0])
            #expect(await broker.waitUntil { $0.count(of: .puback) == 4 })
        }
        await broker.stop()
    }

    @Test func `filters without a consumer are restored when the broker has lost the session`() async throws {
        let broker = try await ScriptedBroker.start(port: try freePort())
        try await withRunningClient(configuration(broker)) { client, log in
            try await client.subscribe(to: "a") { _ in }
            await broker.stop()
            let other = try await ScriptedBroker.start(port: broker.port)
            #expect(await log.wait { $0.names.contains("resubscribed") })
            other.publish(topic: "a", payload: "after", qos: 1)
            let seen = try await texts(client, 1)
            #expect(seen == ["after"])
            await other.stop()
        }
    }

    @Test(arguments: [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `a cancelled subscribe leaves what waits for its filter alone (core 27)`(
        acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker, acknowledgement)
        try await withRunningClient(configuration) { client, _ in try await client.subscribe(to: "a") { _ in } }
        for number in 0..<10 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.publish("x", to: "other")
            for isEarly in [true, false] {
                let cancelled = Task {
                    if isEarly { withUnsafeCurrentTask { $0?.cancel() } }
                    try await client.subscribe(to: "a") { _ in
                        if !isEarly { throw CancellationError() }
                    }
                }
                _ = await cancelled.result
            }
            let seen = try await texts(client, 10)
            #expect(seen == (0..<10).map(String.init))
        }
        await broker.stop()
    }

    @Test func `a filter that nobody consumes is named in the log when it fills the memory`() async throws {
        let broker = try await ScriptedBroker.start()
        let lines = CollectingLogHandler.Lines()
        let logger = Logger(label: "test") { _ in CollectingLogHandler(lines: lines) }
        let client = MQTTClient(configuration(broker), logger: logger)
        try await withRunning(client) { client, _ in
            try await client.subscribe(to: "a/#") { _ in }
            broker.recordPublishes = false
            // PUBLISH of QoS 1 with all packet identifiers up to this one.
            broker.inject(
                (1...4_200).flatMap { [0x32, 8, 0, 3, 0x61, 0x2F, 0x62, UInt8($0 >> 8), UInt8($0 & 255), 0] })
            #expect(
                await eventually {
                    lines.at(.warning).contains {
                        $0.message.contains("unsubscribe(from:)") && "\($0.metadata)".contains("a/#")
                    }
                })
            #expect(broker.count(of: .puback) == 0)
        }
        await broker.stop()
    }
}
