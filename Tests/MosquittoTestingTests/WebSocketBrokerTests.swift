// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

extension RawClient {
    /// Sends a request for an upgrade, with the key of RFC 6455, section 1.3.
    fileprivate func requestUpgrade(_ path: String = "/mqtt", headers: String = "") {
        send(
            Array(
                ("GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    + "Sec-WebSocket-Protocol: mqtt\r\n\(headers)\r\n").utf8))
    }

    /// Reads up to the empty line.
    fileprivate func readHead() -> String {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let next = read(1)
            if next.isEmpty { break }
            bytes += next
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Sends a frame of at most 125 bytes, masked as a client has to.
    fileprivate func sendFrame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, isMasked: Bool = true) {
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        let head: [UInt8] = [isFinal ? 0x80 | opcode : opcode, UInt8(payload.count) | (isMasked ? 0x80 : 0)]
        send(head + (isMasked ? mask + payload.enumerated().map { $1 ^ mask[$0 % 4] } : payload))
    }

    fileprivate struct Frame: Equatable {
        var opcode: UInt8
        var isFinal = true
        var payload: [UInt8]
    }

    /// Reads a frame of at most 125 bytes; `nil` at the end.
    fileprivate func readFrame() -> Frame? {
        let head = read(2)
        guard head.count == 2, head[1] < 126 else { return nil }
        return Frame(opcode: head[0] & 15, isFinal: head[0] & 0x80 != 0, payload: read(Int(head[1])))
    }
}

@Suite("A broker with WebSockets", .turn(.tools)) struct WebSocketBrokerTests {
    private static let connack: [UInt8] = [0x20, 2, 0, 0]

    private func withBroker(
        _ webSocket: ScriptedBroker.WebSocket = .init(), _ body: (ScriptedBroker, RawClient) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(webSocket: webSocket)
        try await body(broker, try RawClient(port: broker.port))
        await broker.stop()
    }

    @Test func `an upgrade is accepted and recorded, and MQTT follows in binary frames`() async throws {
        try await withBroker { broker, client in
            client.requestUpgrade("/mqtt?token=x", headers: "Authorization: Bearer y\r\nX: 1\r\nX: 2\r\n")
            let head = client.readHead().lowercased()
            #expect(head.hasPrefix("http/1.1 101 switching protocols\r\n"))
            #expect(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"))
            #expect(head.contains("\r\nsec-websocket-protocol: mqtt\r\n"))
            client.sendFrame(2, Bytes.connect("dev1", level: 4))
            #expect(client.readFrame() == .init(opcode: 2, payload: Self.connack))
            let upgrade = try #require(broker.upgrades.first)
            #expect(upgrade.method == "GET" && upgrade.path == "/mqtt?token=x" && upgrade.connection == 0)
            #expect(upgrade["authorization"] == "Bearer y")
            #expect(upgrade["x"] == "1, 2" && upgrade["y"] == nil)
            #expect(broker.connects.map(\.clientID) == ["dev1"])
            #expect(broker.frames.map(\.opcode) == [2] && broker.frames[0].isMasked)
            #expect(broker.errors == [])
        }
    }

    @Test func `a CONNECT of single bytes with pings in between is one packet, and each ping has its pong`()
        async throws
    {
        try await withBroker { broker, client in
            client.requestUpgrade()
            _ = client.readHead()
            let packet = Bytes.connect("dev1", level: 4)
            for (index, byte) in packet.enumerated() {
                client.sendFrame(index == 0 ? 2 : 0, [byte], isFinal: index == packet.count - 1)
                if index < packet.count - 1 { client.sendFrame(9, [UInt8(index)]) }
            }
            for index in packet.indices.dropLast() {
                #expect(client.readFrame() == .init(opcode: 10, payload: [UInt8(index)]))
            }
            #expect(client.readFrame() == .init(opcode: 2, payload: Self.connack))
            #expect(broker.errors == [])
        }
    }

    @Test func `the broker's frames are fragments, with a ping before each`() async throws {
        try await withBroker(.init(framing: .init(maximumFrame: 3, fragments: true, pings: true))) { broker, client in
            client.requestUpgrade()
            _ = client.readHead()
            client.sendFrame(2, Bytes.connect("dev1", level: 4))
            let ping = RawClient.Frame(opcode: 9, payload: [0x3F])
            #expect(client.readFrame() == ping)
            #expect(client.readFrame() == .init(opcode: 2, isFinal: false, payload: [0x20, 2, 0]))
            #expect(client.readFrame() == ping)
            #expect(client.readFrame() == .init(opcode: 0, payload: [0]))
        }
    }

    @Test func `or messages of their own`() async throws {
        try await withBroker(.init(framing: .init(maximumFrame: 1))) { broker, client in
            client.requestUpgrade()
            _ = client.readHead()
            client.sendFrame(2, Bytes.connect("dev1", level: 4))
            for byte in Self.connack { #expect(client.readFrame() == .init(opcode: 2, payload: [byte])) }
        }
    }

    @Test func `an upgrade is refused with any status, fields and body, and then accepted`() async throws {
        let refusal = ScriptedBroker.WebSocket.Upgrade.refuse(
            status: 503, reason: "Busy", headers: ["Retry-After": "7"], body: "later")
        let broker = try await ScriptedBroker.start(webSocket: .init(upgrades: [refusal, .accept()]))
        let client = try RawClient(port: broker.port)
        client.requestUpgrade()
        let seen = client.readToEnd()
        #expect(seen.end == .eof)
        let text = String(decoding: seen.bytes, as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 503 Busy\r\n") && text.hasSuffix("\r\n\r\nlater"))
        #expect(text.contains("\r\nRetry-After: 7\r\n") && text.contains("\r\nContent-Length: 5\r\n"))
        let second = try RawClient(port: broker.port)
        second.requestUpgrade()
        #expect(second.readHead().hasPrefix("HTTP/1.1 101 "))
        #expect(broker.upgrades.map(\.connection) == [0, 1])
        await broker.stop()
    }

    @Test func `any bytes are an answer, and so is none`() async throws {
        let bytes = Array("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: wrong\r\n\r\n".utf8)
        try await withBroker(.init(upgrades: [.raw(bytes, close: true), .close])) { broker, client in
            client.requestUpgrade()
            let seen = client.readToEnd()
            #expect(seen.bytes == bytes && seen.end == .eof)
            let second = try RawClient(port: broker.port)
            second.requestUpgrade()
            #expect(second.readToEnd().bytes == [])
        }
    }

    @Test func `fields of the answer can be replaced, and the subprotocol left out`() async throws {
        try await withBroker(.init(upgrades: [.accept(headers: ["X-Broker": "1"])], subprotocol: nil)) { _, client in
            client.requestUpgrade()
            let head = client.readHead()
            #expect(head.contains("\r\nX-Broker: 1\r\n"))
            #expect(!head.lowercased().contains("sec-websocket-protocol"))
        }
    }

    @Test func `a request without an upgrade is answered with 426`() async throws {
        try await withBroker { broker, client in
            client.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            #expect(client.readHead().hasPrefix("HTTP/1.1 426 "))
            #expect(broker.upgrades.map(\.path) == ["/"])
        }
    }

    @Test(arguments: [
        (UInt8(1), true, "opcode"), (0, true, "out of order"), (2, false, "without a mask"),
    ])
    func `what RFC 6455 forbids is recorded`(opcode: UInt8, isMasked: Bool, text: String) async throws {
        try await withBroker { broker, client in
            client.requestUpgrade()
            _ = client.readHead()
            client.sendFrame(opcode, [0xC0, 0], isMasked: isMasked)
            #expect(await broker.waitUntil { $0.errors.contains { $0.contains(text) } }, "\(broker.errors)")
        }
    }

    @Test func `a close is answered, and the broker closes with 1000 itself`() async throws {
        let broker = try await ScriptedBroker.start(
            webSocket: .init(), script: [.serve, .refuse(code: 5, close: true)])
        let client = try RawClient(port: broker.port)
        client.requestUpgrade()
        _ = client.readHead()
        client.sendFrame(8, [0x03, 0xE9])
        #expect(client.readFrame() == .init(opcode: 8, payload: [0x03, 0xE9]))
        #expect(client.readToEnd().end == .eof)
        #expect(broker.frames.map(\.closeCode) == [1_001])
        let second = try RawClient(port: broker.port)
        second.requestUpgrade()
        _ = second.readHead()
        second.sendFrame(2, Bytes.connect("dev1", level: 4))
        #expect(second.readFrame() == .init(opcode: 2, payload: [0x20, 2, 0, 5]))
        #expect(second.readFrame() == .init(opcode: 8, payload: [0x03, 0xE8]))
        await broker.stop()
    }

    @Test func `raw bytes go below the frames`() async throws {
        try await withBroker { broker, client in
            client.requestUpgrade()
            _ = client.readHead()
            broker.injectBelowWebSocket([0xF2, 0x7F, 1, 2])
            #expect(client.read(4) == [0xF2, 0x7F, 1, 2])
        }
    }
}
