// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite("What a review found", .turn(.scripted), .timeLimit(.minutes(1)))
struct ReviewedPromiseTests {
    @Test(arguments: [true, false])
    func `an unsubscribe that waits ends when the filter is subscribed to again`(isEncrypted: Bool) async throws {
        let broker = try await ScriptedBroker.start(tls: isEncrypted ? TestTLS.identity : nil)
        var configuration = testConfiguration(port: broker.port)
        if !isEncrypted { configuration.tls = nil }
        configuration.session = .persistent
        configuration.retry.minimumDelay = .seconds(1)
        configuration.retry.baseDelay = .seconds(1)
        configuration.retry.maximumDelay = .seconds(1)
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: "a") { messages in
                broker.resetAll()
                #expect(await log.wait { $0.disconnections.count == 1 })
                async let codes = messages.unsubscribe()
                async let first: Void = client.subscribe(to: "a") { messages in
                    broker.publish(topic: "a", payload: "x")
                    #expect(await messages.first { _ in true }?.payloadString == "x")
                }
                let ended = try await codes
                #expect(ended == [.success])
                try await first
            }
        }
        await broker.stop()
    }

    @Test func `an UNSUBSCRIBE without an answer ends too, if the next connection subscribes again`() async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.unsubscribe, reasonCode: 0x89), .serve])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: "a") { messages in
                let end = Task.begunHere { try await messages.unsubscribe() }
                try await client.subscribe(to: "a") { _ in
                    let ended = try await end.value
                    #expect(ended == [.success])
                }
            }
        }
        await broker.stop()
    }

    @Test func `after a refusal the next request asks again, and is refused itself`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        // A shared subscription without a filter, which no broker grants.
        configuration.connect.responseTopic = "$share/x"
        try await withRunningClient(configuration) { client, _ in
            for _ in 0..<3 {
                let error = await #expect(throws: MQTTError.self) {
                    try await client.request("x", to: "a", timeout: .seconds(10))
                }
                #expect(error?.code == .operationRefused)
            }
            #expect(broker.count(of: .subscribe) == 3)
            // Nothing is left that a later connection would ask for again.
            broker.resetAll()
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            try await client.publish("x", to: "a")
            #expect(broker.count(of: .subscribe) == 3)
        }
        await broker.stop()
    }

    @Test func `a subscription may go on with what the broker grants, without asking again`() async throws {
        let broker = try await ScriptedBroker.start(script: [
            .disconnectOn(.subscribe, count: 9, reasonCode: 0x80), .serve,
        ])
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            let answer = Task {
                #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
                // SUBACK: not authorized, QoS 1, topic filter invalid.
                broker.inject([0x90, 6, 0, 1, 0, 0x87, 1, 0x8F])
            }
            try await client.subscribe(toGrantedOf: ["x", "y", "z"]) { messages in
                #expect(messages.grantedReasonCodes == [.notAuthorized, .grantedQoS1, .topicFilterInvalid])
                #expect(broker.count(of: .subscribe) == 1)
                // Nor with the next connection, which does not know the others.
                broker.resetAll()
                #expect(await broker.waitUntil { $0.count(of: .subscribe) == 2 })
                for topic in ["x", "z", "y"] { broker.publish(topic: topic, payload: topic) }
                #expect(await messages.first { _ in true }?.payloadString == "y")
            }
            await answer.value
        }
        await broker.stop()
    }

    @Test(arguments: [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `what was handled just before the end is acknowledged before the DISCONNECT`(qos: MQTTQoS) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        let loop = MosquittoEventLoop()
        let blocker = LoopBlocker(loop)
        try await withRunning(MQTTClient(configuration, eventLoop: loop, logger: quiet)) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: qos)) { messages in
                broker.publish(topic: "a", payload: "1", qos: qos.rawValue)
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next() != nil)
                let end: Task<Void, Never>
                do {
                    // Both come to the loop in the same turn.
                    async let blocked: Void = blocker.block()
                    #expect(await eventually { blocker.isBlocked })
                    // Runs up to its wait for a second message: the first one is handled.
                    Task.begunHere { _ = await messages.first { _ in true } }
                    // Runs up to its hop to the loop.
                    end = Task.begunHere { try? await client.shutdown() }
                    blocker.release()
                    await blocked
                }
                await end.value
            }
        }
        #expect(await broker.waitUntil { !$0.disconnects.isEmpty })
        let types = broker.receivedPackets.map(\.type)
        let acknowledgement = types.firstIndex(of: qos == .atLeastOnce ? .puback : .pubrec)
        let farewell = types.firstIndex(of: .disconnect)
        #expect(acknowledgement ?? .max < farewell ?? .min)
        await broker.stop()
    }

    @Test(arguments: [1, 2] as [UInt8])
    func `what a body leaves behind in a clean session is acknowledged, since it cannot come again`(qos: UInt8)
        async throws
    {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.acknowledgement = .afterHandling
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                for number in 0..<50 { broker.publish(topic: "a", payload: "\(number)", qos: qos) }
                #expect(await messages.first { _ in true } != nil)
            }
            #expect(await broker.waitUntil { $0.count(of: qos == 1 ? .puback : .pubrec) == 50 })
        }
        await broker.stop()
    }

    @Test func `a message that nobody takes does not hold the acknowledgements of others back for ever`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a") { messages in
                // PUBLISH of QoS 1 and 2 to a topic that an earlier run has subscribed to.
                broker.inject([0x32, 6, 0, 1, 0x7A, 0, 77, 0] + [0x34, 6, 0, 1, 0x7A, 0, 78, 0])
                for number in 0..<3 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                var count = 0
                for await _ in messages {
                    count += 1
                    if count == 3 { break }
                }
            }
            // After ten seconds.
            #expect(await broker.waitUntil { $0.count(of: .puback) == 3 })
            #expect(broker.count(of: .pubrec) == 0)
        }
        await broker.stop()
    }

    @Test(arguments: [Wire.plain, .tls13])
    func `a consumer that publishes QoS 0 goes on though the broker reads only when all it has sent was read`(
        wire: Wire
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        broker.recordPublishes = false
        let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
        let (count, size) = (400, 16_384)
        try await withBusyClient(configuration(of: proxy, wire)) { client, _ in
            let buffer = MQTTBufferPolicy(capacity: 1, whenFull: .pauseReading)
            try await client.subscribe(to: MQTTSubscription("a", qos: .atMostOnce), buffer: buffer) { messages in
                proxy.set(.toBroker, .shut)
                let sent = proxy[.toClient].sent
                for _ in 0..<count { broker.publish(topic: "a", payload: [UInt8](repeating: 0, count: size)) }
                let opening = Task {
                    #expect(await eventually { proxy[.toClient].sent - sent >= count * size })
                    proxy.set(.toBroker, .open)
                }
                var seen = 0
                for await message in messages {
                    try await client.publish(message.payload, to: "b", qos: .atMostOnce)
                    seen += 1
                    if seen == count { break }
                }
                await opening.value
            }
        }
        await broker.stop()
    }

    @Test(arguments: [Wire.plain, .tls13])
    func `a broker that hangs while a consumer stalls is noticed when the consumer goes on`(wire: Wire) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        let proxy = try TCPProxy(to: broker.port)
        var configuration = configuration(of: proxy, wire)
        configuration.keepAlive = .seconds(5)
        try await withBusyClient(configuration) { client, log in
            let buffer = MQTTBufferPolicy(capacity: 4, whenFull: .pauseReading)
            try await client.subscribe(to: "a", buffer: buffer) { messages in
                // PUBLISH of QoS 0, without properties: all at once, so that nothing is left to be read.
                broker.inject((0..<20).flatMap { [0x30, 5, 0, 1, 0x61, 0, $0] })
                #expect(await eventually { await !client.session.isReading })
                proxy.set(.toClient, .shut)
                proxy.set(.toBroker, .shut)
                // Two checks of the keep-alive, whose PINGREQ has no answer.
                try await Task.sleep(for: .milliseconds(1_200))
                for await message in messages where message.payload == [19] { break }
                #expect(await log.wait { $0.disconnections.first?.error.code == .keepAliveTimeout })
            }
        }
        await broker.stop()
    }

    @Test(arguments: [true, false], MQTTVersion.allCases)
    func `messages of all QoS arrive in the order in which the broker sent them`(
        isEncrypted: Bool, version: MQTTVersion
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: isEncrypted ? TestTLS.identity : nil)
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isEncrypted { configuration.tls = nil }
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var bytes: [UInt8] = []
                var expected: [String] = []
                for number in 0..<3_000 {
                    let qos = UInt8([2, 0, 1, 0, 2, 2, 1][number % 7])
                    // Up to 400 bytes, so that pieces end in the middle of messages of every QoS.
                    let text = "\(number)" + String(repeating: "x", count: number * 7 % 400)
                    expected.append(text)
                    var body: [UInt8] = [0, 1, UInt8(ascii: "a")]
                    if qos > 0 { body += [UInt8((number + 1) >> 8), UInt8((number + 1) & 0xFF)] }
                    if version == .v5_0 { body.append(0) }
                    body += Array(text.utf8)
                    let length =
                        body.count < 128
                        ? [UInt8(body.count)] : [UInt8(body.count & 0x7F | 0x80), UInt8(body.count >> 7)]
                    bytes += [0x30 | qos << 1] + length + body
                }
                broker.inject(bytes)
                var seen: [String] = []
                for await message in messages {
                    seen.append(message.payloadString)
                    if seen.count == expected.count { break }
                }
                let first = zip(seen, expected).enumerated().first { $0.element.0 != $0.element.1 }
                #expect(first == nil, "\(first.map { "\($0)" } ?? "")")
            }
        }
        await broker.stop()
    }
}

/// Holds an event loop's thread up.
private actor LoopBlocker {
    private let loop: MosquittoEventLoop
    private nonisolated let state = Atomic(0)

    init(_ loop: MosquittoEventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    nonisolated var isBlocked: Bool { state.load(ordering: .acquiring) == 1 }

    nonisolated func release() { state.store(2, ordering: .releasing) }

    func block() {
        state.store(1, ordering: .releasing)
        while state.load(ordering: .acquiring) == 1 {}
    }
}
