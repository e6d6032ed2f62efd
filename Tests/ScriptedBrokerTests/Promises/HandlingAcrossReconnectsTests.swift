// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// The messages whose handling has ended. While it is paused, none ends.
private final class HandledMessages: Sendable {
    private let state = Mutex((payloads: Set<String>(), isPaused: false))

    var count: Int { state.withLock { $0.payloads.count } }
    func pause() { state.withLock { $0.isPaused = true } }
    func resume() { state.withLock { $0.isPaused = false } }

    func end(_ payload: String) async {
        _ = await eventually {
            state.withLock { state in
                if state.isPaused { return false }
                state.payloads.insert(payload)
                return true
            }
        }
    }
}

@Suite("Messages under handling when a connection is lost", .turn(.scripted), .timeLimit(.minutes(3)))
struct HandlingAcrossReconnectsTests {
    private func configuration(_ broker: ScriptedBroker, isEncrypted: Bool = false) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port)
        if !isEncrypted { configuration.tls = nil }
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        return configuration
    }

    private func connected(_ broker: ScriptedBroker, _ count: Int) async -> Bool {
        await broker.waitUntil { $0.connects.count >= count }
    }

    @Test(arguments: [true, false])
    func `a backlog is handled and acknowledged, though each connection lasts a second (core 5)`(
        isEncrypted: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: isEncrypted ? TestTLS.identity : nil)
        try await withRunningClient(configuration(broker, isEncrypted: isEncrypted)) { client, log in
            let ended = HandledMessages()
            // The broker gives each message an identifier of its own.
            let acknowledged: @Sendable (ScriptedBroker) -> Int = { broker in
                Set(broker.receivedPackets.filter { $0.type == .puback }.map { $0.bytes[2..<4] }).count
            }
            let cutter = Task {
                // Forty messages take most of a second.
                var next = 40
                while true {
                    _ = await eventually { ended.count >= next }
                    try Task.checkCancellation()
                    // A broker that is behind would lose the acknowledgements of more than the message under handling.
                    ended.pause()
                    // Otherwise an acknowledgement waits for that of a message which is handled again, and the pause
                    // stops that: not now.
                    let isCaughtUp = await broker.waitUntil(timeout: .seconds(1)) {
                        client.state.isConnected && acknowledged($0) >= ended.count
                    }
                    next = ended.count + 3
                    if isCaughtUp {
                        next = ended.count + 40
                        let ends = await log.disconnections.count
                        broker.resetAll()
                        // Until then the client acknowledges what the broker does not receive.
                        _ = await log.wait(timeout: .seconds(2)) { $0.disconnections.count > ends }
                    }
                    ended.resume()
                }
            }
            defer { cutter.cancel() }
            let handling = Task {
                var handled: [String: Int] = [:]
                var times: [ContinuousClock.Instant] = []
                try await client.subscribe(to: "a") { messages in
                    for number in 0..<200 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                    for await message in messages {
                        handled[message.payloadString, default: 0] += 1
                        if handled[message.payloadString] == 1 { times.append(.now) }
                        try? await Task.sleep(for: .milliseconds(20))
                        await ended.end(message.payloadString)
                    }
                }
                return (handled, times)
            }
            #expect(await broker.waitUntil(timeout: .seconds(120)) { acknowledged($0) == 200 })
            handling.cancel()
            let (handled, times) = try await handling.value
            let connections = broker.connects.count
            #expect(connections > 3)
            // A message can be handled again only if its PUBACK was lost with a connection.
            #expect(handled.values.reduce(0, +) <= 200 + 2 * connections, "\(handled.filter { $0.value > 1 })")
            // The cutter stops the handling for three seconds at most.
            for (one, next) in zip(times, times.dropFirst()) where next - one > .seconds(5) {
                Issue.record("no progress for \(next - one)")
            }
        }
        await broker.stop()
    }

    @Test(arguments: [true, false])
    func `one that takes longer than its connection is acknowledged on the next, and comes once (core 5)`(
        isHandledBetween: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.subscribe(to: "a") { messages in
                for number in 0..<3 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next()?.payloadString == "0")
                if isHandledBetween {
                    // Settles the message while disconnected.
                    broker.setScript([.refuse(code: 0x88, close: true), .serve])
                    broker.resetAll()
                    #expect(await connected(broker, 2))
                    #expect(await iterator.next()?.payloadString == "1")
                    #expect(await connected(broker, 3))
                } else {
                    for count in 2..<5 {
                        broker.resetAll()
                        #expect(await connected(broker, count))
                        try await client.publish("x", to: "other")
                    }
                    #expect(broker.count(of: .puback) == 0)
                    #expect(await iterator.next()?.payloadString == "1")
                }
                #expect(await broker.waitUntil { $0.count(of: .puback) == 1 })
                #expect(await iterator.next()?.payloadString == "2")
                broker.publish(topic: "a", payload: "3", qos: 1)
                #expect(await iterator.next()?.payloadString == "3")
            }
            #expect(await broker.waitUntil { $0.count(of: .puback) == 4 })
        }
        await broker.stop()
    }

    @Test func `another message with the identifier of one under handling is a message (core 5)`() async throws {
        let broker = try await ScriptedBroker.start(script: [.serve])
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.subscribe(to: "a") { messages in
                // PUBLISH of QoS 1 with the identifier 77, of which this broker knows nothing.
                broker.inject([0x32, 7, 0, 1, 0x61, 0, 77, 0, 0x31])
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next()?.payloadString == "1")
                broker.resetAll()
                #expect(await connected(broker, 2))
                try await client.publish("x", to: "other")
                // Another payload, with DUP; the same payload, without.
                broker.inject([0x3A, 7, 0, 1, 0x61, 0, 77, 0, 0x32])
                #expect(await iterator.next()?.payloadString == "2")
                broker.resetAll()
                #expect(await connected(broker, 3))
                try await client.publish("x", to: "other")
                broker.inject([0x32, 7, 0, 1, 0x61, 0, 77, 0, 0x32])
                #expect(await iterator.next()?.payloadString == "2")
            }
            #expect(await broker.waitUntil { $0.count(of: .puback) == 1 })
        }
        await broker.stop()
    }

    @Test func `bodies that throw over half of a window make the client reconnect, not at full speed (core 29)`()
        async throws
    {
        struct Failure: Error {}
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker)) { client, log in
            var seen: [String] = []
            var failed = 0
            // Each consumer fails at one message; the broker then resends the messages without further action.
            while failed < 10 {
                try? await client.subscribe(to: "a") { messages in
                    broker.publish(topic: "a", payload: "\(failed)", qos: 1)
                    _ = await messages.first { _ in true }
                    failed += 1
                    throw Failure()
                }
            }
            #expect(await connected(broker, 2))
            try await client.subscribe(to: "a") { messages in
                for await message in messages {
                    seen.append(message.payloadString)
                    if seen.count == 10 { break }
                }
            }
            #expect(seen == (0..<10).map(String.init))
            #expect(await broker.waitUntil { $0.count(of: .puback) == 10 })
            #expect(await broker.waitUntil { $0.disconnects == [0] }, "gracefully")
            #expect(await log.rotations.isEmpty)
            #expect(await log.disconnections.isEmpty)
            // Again, at once: the client waits.
            for number in 0..<12 {
                try? await client.subscribe(to: "a") { messages in
                    broker.publish(topic: "a", payload: "again \(number)", qos: 1)
                    _ = await messages.first { _ in true }
                    throw Failure()
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(broker.connects.count == 2)
        }
        await broker.stop()
    }
}
