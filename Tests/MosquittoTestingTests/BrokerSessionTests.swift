// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct BrokerSessionTests {
    private func connected(
        to broker: ScriptedBroker,
        _ connect: [UInt8],
        sessionPresent: Bool = false
    ) throws -> RawClient {
        let client = try RawClient(port: broker.port)
        client.send(connect)
        #expect(client.read(4) == [0x20, 2, sessionPresent ? 1 : 0, 0])
        return client
    }

    @Test func `A QoS 2 message that is sent twice is routed once, on PUBREL`() async throws {
        let broker = try await ScriptedBroker.start()
        let client = try connected(to: broker, Bytes.connect("dev1"))
        client.send(Bytes.publish("t", "x", qos: 2))
        client.send(Bytes.publish("t", "x", qos: 2, dup: true))
        #expect(client.read(8) == [0x50, 2, 0, 1, 0x50, 2, 0, 1])
        #expect(broker.routedCount == 0)
        client.send([0x62, 2, 0, 1, 0x62, 2, 0, 1])
        #expect(client.read(8) == [0x70, 2, 0, 1, 0x70, 2, 0, 1])
        #expect(broker.routedMessages.map(\.text) == ["x"])
        #expect(broker.publishes.map(\.dup) == [false, true])
        await broker.stop()
    }

    @Test func `A resumed session gets its unacknowledged message with DUP, then what was queued`() async throws {
        let broker = try await ScriptedBroker.start()
        let first = try connected(to: broker, Bytes.connect("dev1", clean: false))
        first.send(Bytes.subscribe("t/#", qos: 1))
        #expect(first.read(5) == [0x90, 3, 0, 1, 1])
        broker.publish(topic: "t/a", payload: "1", qos: 2)
        let sent = Bytes.publish("t/a", "1", qos: 1)
        #expect(first.read(sent.count) == sent)
        broker.dropAll()
        #expect(first.readToEnd().end == .eof)
        broker.publish(topic: "t/b", payload: "2", qos: 1)
        broker.publish(topic: "t/c", payload: "3", qos: 0)

        let second = try connected(to: broker, Bytes.connect("dev1", clean: false), sessionPresent: true)
        let expected = Bytes.publish("t/a", "1", qos: 1, dup: true) + Bytes.publish("t/b", "2", qos: 1, id: 2)
        #expect(second.read(expected.count) == expected)
        second.send([0x40, 2, 0, 1, 0x40, 2, 0, 2, 0xE0, 0])
        #expect(second.readToEnd().end == .eof)

        let third = try connected(to: broker, Bytes.connect("dev1", clean: false), sessionPresent: true)
        third.send([0xC0, 0])
        #expect(third.read(2) == [0xD0, 0])
        await broker.stop()
    }

    @Test func `A call takes effect before packets that are sent after it`() async throws {
        let broker = try await ScriptedBroker.start()
        let client = try connected(to: broker, Bytes.connect("dev1"))
        // In some rounds the broker's thread wakes up to both, and SwiftNIO reads the packet first.
        for _ in 0..<100 {
            client.send(Bytes.subscribe("t", qos: 0))
            #expect(client.read(5) == [0x90, 3, 0, 1, 0])
            broker.publish(topic: "t", payload: "x")
            client.send(Bytes.packet(0xA2, [0, 2] + Bytes.text("t")))
            let expected = Bytes.publish("t", "x") + [0xB0, 2, 0, 2]
            try #require(client.read(expected.count) == expected)
        }
        await broker.stop()
    }

    @Test func `After PUBREC only PUBREL is sent again`() async throws {
        let broker = try await ScriptedBroker.start()
        let first = try connected(to: broker, Bytes.connect("dev1", clean: false))
        first.send(Bytes.subscribe("t", qos: 2))
        #expect(first.read(5) == [0x90, 3, 0, 1, 2])
        broker.publish(topic: "t", payload: "1", qos: 2)
        let sent = Bytes.publish("t", "1", qos: 2)
        #expect(first.read(sent.count) == sent)
        first.send([0x50, 2, 0, 1])
        #expect(first.read(4) == [0x62, 2, 0, 1])
        // A takeover by the same identifier also ends the first connection.
        let second = try connected(to: broker, Bytes.connect("dev1", clean: false), sessionPresent: true)
        #expect(first.readToEnd().end == .eof)
        #expect(second.read(4) == [0x62, 2, 0, 1])
        await broker.stop()
    }

    @Test func `A 5 client is told that its session was taken over`() async throws {
        let broker = try await ScriptedBroker.start()
        let clients = try (0..<2).map { _ in
            let client = try RawClient(port: broker.port)
            client.send(Bytes.connect("dev1", level: 5))
            #expect(client.read(5) == [0x20, 3, 0, 0, 0])
            return client
        }
        #expect(clients[0].readToEnd().bytes == [0xE0, 2, 0x8E, 0])
        await broker.stop()
    }

    @Test func `The will is published unless the client says goodbye without it`() async throws {
        let broker = try await ScriptedBroker.start()
        for (index, goodbye) in [[], [0xE0, 0], [0xE0, 1, 0x04], [0xE0, 1, 0x00]].enumerated() {
            let client = try RawClient(port: broker.port)
            client.send(Bytes.connect("dev\(index)", level: 5, will: ("will", "\(index)")))
            #expect(client.read(5) == [0x20, 3, 0, 0, 0])
            client.send(goodbye.map { UInt8($0) })
        }
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        #expect(broker.routedMessages.map(\.text).sorted() == ["0", "2"])
        #expect(broker.disconnects.map { $0 ?? 0xFF }.sorted() == [0x00, 0x00, 0x04])
        await broker.stop()
    }

    @Test func `CONNACK carries the properties of the test, CONNECT is recorded with its own`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.connackProperties = [0x21, 0x00, 0x05]
        let client = try RawClient(port: broker.port)
        client.send(Bytes.connect("dev1", level: 5, properties: [0x11, 0, 0, 0, 9, 0x21, 0, 7]))
        #expect(client.read(8) == [0x20, 6, 0, 0, 3, 0x21, 0, 5])
        #expect(broker.connects.first?.sessionExpiry == 9)
        #expect(broker.connects.first?.properties.map(\.identifier) == [0x11, 0x21])
        #expect(broker.connects.first?.properties.last?.integer == 7)
        await broker.stop()
    }

    @Test func `Malformed bytes end the connection and are recorded as an error`() async throws {
        let broker = try await ScriptedBroker.start()
        let client = try connected(to: broker, Bytes.connect("dev1"))
        client.send([0x82, 2, 0, 1])
        #expect(client.readToEnd().bytes.isEmpty)
        #expect(broker.errors.count == 1)
        await broker.stop()
    }

    @Test func `Fifty thousand messages are counted without being kept`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.recordPublishes = false
        let client = try connected(to: broker, Bytes.connect("dev1"))
        let message = Bytes.publish("bench/topic", "0123456789")
        let batch = Array(repeatElement(message, count: 1_000).joined())
        for _ in 0..<50 { client.send(batch) }
        #expect(
            await broker.waitUntil(timeout: .seconds(120)) { $0.publishCount == 50_000 && $0.routedCount == 50_000 })
        #expect(broker.publishes.isEmpty)
        #expect(broker.receivedPackets.map(\.type) == [.connect])
        await broker.stop()
    }
}
