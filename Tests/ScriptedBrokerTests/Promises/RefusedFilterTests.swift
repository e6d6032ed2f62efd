// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

extension EventLog {
    var refusals: [MQTTSubscriptionRefused] {
        events.compactMap { if case .subscriptionRefused(let refused) = $0.kind { refused } else { nil } }
    }
}

@Suite("A filter that the broker refuses after a reconnect (core 28)", .turn(.scripted), .timeLimit(.minutes(1)))
struct RefusedFilterTests {
    /// A broker that serves the first connection, and answers no SUBSCRIBE on the next ones.
    private func withClient(
        retryDelay: Duration = .milliseconds(300), _ body: (MQTTClient, EventLog, ScriptedBroker) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(
            script: [.serve, .disconnectOn(.subscribe, count: 9, reasonCode: 0x80)])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.retry.minimumDelay = retryDelay
        configuration.retry.baseDelay = retryDelay
        configuration.retry.maximumDelay = retryDelay
        try await withRunningClient(configuration) { client, log in
            try await body(client, log, broker)
        }
        await broker.stop()
    }

    /// Resets the connection, and answers the SUBSCRIBE of the next one.
    private func refuse(_ broker: ScriptedBroker, _ codes: [UInt8]) async {
        let count = broker.count(of: .subscribe)
        broker.resetAll()
        #expect(await broker.waitUntil { $0.count(of: .subscribe) == count + 1 })
        answer(broker, codes)
    }

    /// SUBACK of the last SUBSCRIBE.
    private func answer(_ broker: ScriptedBroker, _ codes: [UInt8]) {
        let subscribe = broker.receivedPackets.last { $0.type == .subscribe }
        // Behind the first byte and a length of one byte.
        let packetID = subscribe.map { Array($0.bytes[2..<4]) } ?? []
        broker.inject([0x90, UInt8(3 + codes.count)] + packetID + [0] + codes)
    }

    @Test func `ends the consumer's sequence, and its subscribe throws; an event tells`() async throws {
        try await withClient { client, log, broker in
            var body = false
            let error = await #expect(throws: MQTTError.self) {
                try await client.subscribe(to: "a") { messages in
                    #expect(messages.endedBy == nil)
                    await refuse(broker, [0x87])
                    for await _ in messages {}
                    #expect(messages.endedBy?.reasonCode == .notAuthorized)
                    body = true
                }
            }
            #expect(body)
            #expect(error?.code == .operationRefused)
            #expect(error?.reasonCode == .notAuthorized)
            #expect(error?.refusedFilters == ["a"])
            #expect(await log.wait { $0.refusals.map(\.filter) == ["a"] })
            #expect(await log.refusals.first?.reasonCode == .notAuthorized)
            // The client does not ask for the filter again.
            broker.setScript([.serve])
            broker.resetAll()
            #expect(await broker.waitUntil { $0.connects.count == 3 })
            try await client.publish("x", to: "other")
            #expect(broker.count(of: .subscribe) == 2)
        }
    }

    @Test func `leaves a consumer what is granted, and is asked for at the next reconnect`() async throws {
        try await withClient { client, log, broker in
            try await client.subscribe(to: "a", "b") { messages in
                await refuse(broker, [0x87, 1])
                #expect(await log.wait { $0.refusals.map(\.filter) == ["a"] })
                #expect(messages.endedBy == nil)
                await refuse(broker, [1, 0x87])
                #expect(await log.wait { $0.refusals.map(\.filter) == ["a", "b"] })
                #expect(messages.endedBy == nil, "the first one is granted again")
                broker.setScript([.serve])
                broker.resetAll()
                #expect(await broker.waitUntil { $0.count(of: .subscribe) == 4 })
                for topic in ["a", "b"] { broker.publish(topic: topic, payload: topic, qos: 1) }
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next()?.payloadString == "a")
                #expect(await iterator.next()?.payloadString == "b")
            }
        }
    }

    @Test func `is told also if it shares its SUBSCRIBE with one that a caller waits for`() async throws {
        // The second consumer has to be there before the next connection.
        try await withClient(retryDelay: .seconds(3)) { client, log, broker in
            let first = Task {
                try await client.subscribe(to: "a") { messages in
                    for await _ in messages {}
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            try await client.publish("x", to: "other")
            broker.setScript([.refuse(code: 0x88, close: true), .disconnectOn(.subscribe, count: 9, reasonCode: 0x80)])
            broker.resetAll()
            #expect(await log.wait { !$0.failures.isEmpty })
            let second = Task {
                try await client.subscribe(to: "b") { messages in _ = await messages.first { _ in true } }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 2 })
            answer(broker, [0x87, 1])
            let result = await first.result
            let error = #expect(throws: MQTTError.self) { try result.get() }
            #expect(error?.refusedFilters == ["a"])
            #expect(await log.wait { $0.refusals.map(\.filter) == ["a"] })
            broker.inject([0x30, 4, 0, 1, 0x62, 0])
            try await second.value
        }
    }
}
