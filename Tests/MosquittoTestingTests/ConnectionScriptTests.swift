// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct ConnectionScriptTests {
    /// Sends a CONNECT over plain TCP, and returns what the client receives under a script.
    private func observe(
        _ script: ConnectionScript,
        level: UInt8 = 4
    ) async throws -> (bytes: [UInt8], end: RawClient.End, broker: ScriptedBroker) {
        let broker = try await ScriptedBroker.start(script: [script])
        let client = try RawClient(port: broker.port)
        client.send(Bytes.connect("dev1", level: level))
        let (bytes, end) = client.readToEnd()
        await broker.stop()
        return (bytes, end, broker)
    }

    @Test(arguments: [UInt8(4), 5])
    func `Refuse answers in the shape of the version`(level: UInt8) async throws {
        let seen = try await observe(.refuse(code: 0x87, close: true), level: level)
        #expect(seen.bytes == (level == 5 ? [0x20, 3, 0, 0x87, 0] : [0x20, 2, 0, 0x87]))
        #expect(seen.end == .eof)
        #expect(seen.broker.connects.map(\.protocolLevel) == [level])
    }

    @Test(arguments: [ConnectionScript.closeOnAccept, .resetOnAccept, .resetMidHandshake, .closeAfterConnect])
    func `Connections end without a byte`(script: ConnectionScript) async throws {
        let seen = try await observe(script)
        #expect(seen.bytes.isEmpty)
        switch script {
        case .closeAfterConnect: #expect(seen.end == .eof)
        // The CONNECT can arrive after the close; the kernel then answers with RST.
        case .closeOnAccept: #expect(seen.end != .timeout)
        default: #expect(seen.end == .reset)
        }
        #expect(seen.broker.connects.count == (script == .closeAfterConnect ? 1 : 0))
    }

    @Test(arguments: [ConnectionScript.silent, .silentAfterConnect, .refuse(code: 5, close: false), .raw([1, 2, 3])])
    func `Connections stay open until the broker drops them`(script: ConnectionScript) async throws {
        let broker = try await ScriptedBroker.start(script: [script])
        let client = try RawClient(port: broker.port)
        let connect = Bytes.connect("dev1")
        client.send(connect)
        let expected: [UInt8]
        switch script {
        case .refuse: expected = [0x20, 2, 0, 5]
        case .raw(let bytes): expected = bytes
        default: expected = []
        }
        #expect(client.read(expected.count) == expected)
        #expect(
            await broker.waitUntil { broker in
                broker.openConnections == 1
                    && (script == .silent || broker.applicationBytesReceived == connect.count)
            }
        )
        broker.dropAll()
        let rest = client.readToEnd()
        #expect(rest.bytes.isEmpty)
        #expect(rest.end != .timeout)
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        if script == .silent { #expect(broker.applicationBytesReceived == 0) }
        await broker.stop()
    }

    @Test func `Reply sends what it is told`() async throws {
        let seen = try await observe(.reply([0x20, 0x02, 0x00], close: true))
        #expect(seen.bytes == [0x20, 0x02, 0x00])
        #expect(seen.end == .eof)
    }

    @Test func `ServeThenDisconnect says why to a 5 client, and only closes for a 3 client`() async throws {
        let script = ConnectionScript.serveThenDisconnect(reasonCode: 0x8B, properties: [], after: .milliseconds(10))
        let v5 = try await observe(script, level: 5)
        #expect(v5.bytes == [0x20, 3, 0, 0, 0, 0xE0, 2, 0x8B, 0])
        #expect(v5.end == .eof)
        #expect(try await observe(script, level: 4).bytes == [0x20, 2, 0, 0])
        #expect(try await observe(.serveThenClose(after: .zero), level: 5).bytes == [0x20, 3, 0, 0, 0])
    }

    @Test(arguments: [UInt8(4), 5])
    func `DisconnectOn leaves packets unanswered and ends with the last of them`(level: UInt8) async throws {
        let broker = try await ScriptedBroker.start(script: [
            .disconnectOn(.publish, count: 2, reasonCode: 0x9A), .serve,
        ])
        let client = try RawClient(port: broker.port)
        client.send(Bytes.connect("dev1", level: level))
        let connack = client.read(level == 5 ? 5 : 4)
        #expect(connack.first == 0x20)
        let properties: [UInt8] = level == 5 ? [0] : []
        let publish = Bytes.packet(0x32, Bytes.text("a") + [0, 1] + properties + Array("x".utf8))
        // The broker answers what is between the two: the first one had its chance.
        client.send(publish + [0xC0, 0x00])
        #expect(client.read(2) == [0xD0, 0x00])
        client.send(publish)
        #expect(client.readToEnd().bytes == (level == 5 ? [0xE0, 2, 0x9A, 0] : []))
        #expect(broker.receivedPackets.count { $0.type == .publish } == 2)
        #expect(broker.publishes.isEmpty)
        await broker.stop()
    }

    @Test func `Scripts are taken in order, the last one repeats, a new list starts over`() async throws {
        let broker = try await ScriptedBroker.start(script: [
            .refuse(code: 1, close: true), .refuse(code: 2, close: true),
        ])
        func code() throws -> UInt8? {
            let client = try RawClient(port: broker.port)
            client.send(Bytes.connect("dev1"))
            return client.readToEnd().bytes.last
        }
        #expect(try [code(), code(), code()] == [1, 2, 2])
        broker.setScript([.refuse(code: 3, close: true)])
        #expect(try code() == 3)
        #expect(broker.acceptedConnections == 4)
        await broker.stop()
    }

    @Test func `ResetAll resets live connections`() async throws {
        let broker = try await ScriptedBroker.start()
        let client = try RawClient(port: broker.port)
        client.send(Bytes.connect("dev1"))
        #expect(client.read(4) == [0x20, 2, 0, 0])
        broker.resetAll()
        #expect(client.readToEnd().end == .reset)
        await broker.stop()
        await broker.stop()
        #expect(throws: RawClientError.self) { try RawClient(port: broker.port) }
    }

    @Test func `Injected bytes reach clients that sent CONNECT`() async throws {
        let broker = try await ScriptedBroker.start(script: [.silentAfterConnect])
        let client = try RawClient(port: broker.port)
        client.send(Bytes.connect("dev1"))
        #expect(await broker.waitUntil { $0.connects.count == 1 })
        broker.inject([0xF0, 0x00])
        #expect(client.read(2) == [0xF0, 0x00])
        await broker.stop()
    }
}
