// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Frames of a broker", .turn(.scripted), .timeLimit(.minutes(2)))
struct WebSocketFrameTests {
    static let framings: [ScriptedBroker.WebSocket.Framing] = [
        .init(), .init(pings: true), .init(maximumFrame: 1), .init(maximumFrame: 1, fragments: true),
        .init(maximumFrame: 1, fragments: true, pings: true), .init(maximumFrame: 125, fragments: true, pings: true),
        .init(maximumFrame: 126), .init(maximumFrame: 65_535, fragments: true), .init(maximumFrame: 65_536),
    ]

    @Test(arguments: framings, [true, false])
    func `of any size, in fragments and with pings in between, carry all messages in order`(
        framing: ScriptedBroker.WebSocket.Framing, isSecure: Bool
    ) async throws {
        let sizes = [0, 1, 124, 125, 126, 127, 1_000, 65_535, 65_536].filter {
            (framing.maximumFrame ?? .max) > 1 || $0 <= 1_000
        }
        try await withWebSocketClient(.init(framing: framing), isSecure: isSecure) { client, broker, _ in
            try await client.subscribe(to: MQTTSubscription("size/#", qos: .exactlyOnce)) { messages in
                for size in sizes {
                    let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                    try await client.publish(payload, to: "size/\(size)", qos: .exactlyOnce)
                }
                var seen: [Int] = []
                for await message in messages {
                    #expect(message.payload.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0 &* 31) })
                    seen.append(message.payload.count)
                    if seen.count == sizes.count { break }
                }
                #expect(seen == sizes)
            }
            #expect(broker.errors == [])
            #expect(broker.frames.allSatisfy { $0.isMasked && $0.isFinal })
            if framing.pings { #expect(broker.frames.contains { $0.opcode == 10 }) }
        }
    }

    /// Frames that a server must not send.
    static let violations: [(bytes: [UInt8], what: String)] = [
        ([0x82, 0x81, 1, 2, 3, 4, 5], "masked"), ([0xC2, 0], "a reserved bit"), ([0xA2, 0], "a reserved bit"),
        ([0x92, 0], "a reserved bit"), ([0x83, 0], "a reserved opcode"), ([0x8B, 0], "a reserved opcode"),
        ([0x81, 1, 0x41], "text"), ([0x80, 0], "a continuation of nothing"), ([0x09, 0], "a ping in fragments"),
        ([0x89, 126, 0, 126], "a long ping"), ([0x88, 1, 3], "half a close code"),
        ([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], "a length of 2^63"), ([0x02, 0, 0x82, 0], "a message in a message"),
    ]

    @Test(arguments: violations)
    func `that RFC 6455 forbids are a violation, and the client comes back`(
        violation: (bytes: [UInt8], what: String)
    ) async throws {
        try await withWebSocketClient { client, broker, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.injectBelowWebSocket(violation.bytes)
            #expect(await log.wait { $0.connections.count == 2 }, "\(violation.what)")
            let lost = try #require(await log.disconnections.first)
            #expect(lost.error.code == .protocolViolation, "\(violation.what): \(lost.error)")
        }
    }

    /// Nothing is allocated for a claim: the client waits for the rest, and its keep-alive or the broker ends that.
    @Test func `with a length of 2^62 are no memory`() async throws {
        try await withWebSocketClient(isSecure: false) { client, broker, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.injectBelowWebSocket([0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0])
            broker.dropAll()
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.disconnections.count == 1 })
        }
    }

    @Test(arguments: [1_000, 1_001, 1_008, 1_011, 4_000])
    func `that close have a code and a text`(code: Int) async throws {
        try await withWebSocketClient { client, broker, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.injectBelowWebSocket([0x88, 5, UInt8(code >> 8), UInt8(code & 0xFF)] + Array("why".utf8))
            #expect(await log.wait { $0.connections.count == 2 })
            let lost = try #require(await log.disconnections.first)
            #expect(lost.error.webSocket?.closeCode.map(Int.init) == code, "\(lost.error)")
            #expect(lost.error.webSocket?.closeReason == "why")
        }
    }

    @Test func `a shutdown says goodbye twice: DISCONNECT, and a close of 1000`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, webSocket: .init())
        try await withMQTTClient(webSocketConfiguration(broker), logger: quiet) { client in
            try await client.publish("x", to: "a", qos: .atLeastOnce)
        }
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        #expect(await broker.waitUntil { $0.frames.last?.closeCode == 1_000 }, "\(broker.frames.suffix(3))")
        #expect(broker.errors == [])
        await broker.stop()
    }

    @Test(arguments: [UInt8(0x88), 0x87]) func `a refused CONNECT is retried as over TCP`(code: UInt8) async throws {
        let script: [ConnectionScript] = [.refuse(code: code, close: true), .serve]
        try await withWebSocketClient(script: script) {
            $0.credentials = RecordingProvider()
        } _: { _, broker, log in
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await log.wait { $0.failures.map(\.error.phase) == [.connack] })
            #expect(broker.upgrades.count == 2)
        }
    }

    @Test(arguments: [
        ConnectionScript.closeOnAccept, .resetOnAccept, .resetMidHandshake, .closeAfterConnect,
        .disconnectOn(.publish, reasonCode: 0x8B),
    ])
    func `a connection that ends is made again, and nothing is lost`(script: ConnectionScript) async throws {
        try await withWebSocketClient(script: [script, .serve]) { client, broker, log in
            try await client.publish("x", to: "a", qos: .atLeastOnce)
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(broker.publishes.contains { $0.text == "x" })
        }
    }
}
