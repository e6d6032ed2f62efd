// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A TCP proxy", .turn(.tools), .timeLimit(.minutes(1))) struct TCPProxyTests {
    private static let connack: [UInt8] = [0x20, 2, 0, 0]

    /// Connects a client through a proxy, and returns when the broker has accepted it.
    private func connect(
        _ proxy: TCPProxy, clientID: String = "dev1", sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> RawClient {
        let client = try RawClient(port: proxy.port)
        client.send(Bytes.connect(clientID))
        #expect(client.read(4) == Self.connack, sourceLocation: sourceLocation)
        return client
    }

    @Test func `forwards both directions, and counts them`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port)
        let client = try connect(proxy)
        client.send(Bytes.subscribe("a", qos: 0))
        #expect(client.read(5) == [0x90, 3, 0, 1, 0])
        #expect(proxy.connections == 1 && proxy.isConnected)
        #expect(proxy[.toBroker].received == Bytes.connect("dev1").count + Bytes.subscribe("a", qos: 0).count)
        #expect(proxy[.toClient].received == 9)
        #expect(await eventually { proxy[.toClient].sent == 9 && proxy[.toClient].acknowledged == 9 })
        #expect(proxy.roundTrips == 2)
        await broker.stop()
        // The client has not ended its own side yet.
        #expect(client.readToEnd().end == .eof)
        #expect(proxy[.toClient].hasEnded && proxy.isConnected)
        proxy.end(.close)
        #expect(await eventually { !proxy.isConnected })
    }

    @Test func `delays each byte`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port, plan: .init(delay: .milliseconds(150)))
        let start = ContinuousClock.now
        let client = try connect(proxy)
        #expect(ContinuousClock.now - start >= .milliseconds(300), "there and back")
        withExtendedLifetime((client, proxy)) {}
        await broker.stop()
    }

    @Test func `throttles what goes to the broker`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port, plan: .init(bytesPerSecond: 100_000))
        let client = try connect(proxy)
        let start = ContinuousClock.now
        client.send(Bytes.publish("a", String(repeating: "x", count: 40_000), qos: 1))
        #expect(client.read(4) == [0x40, 2, 0, 1])
        // A burst takes up to 10,000 of the 40,000 bytes.
        #expect(ContinuousClock.now - start >= .milliseconds(280))
        withExtendedLifetime(proxy) {}
        await broker.stop()
    }

    @Test(arguments: TCPProxy.Ending.allCases, [Duration.zero, .milliseconds(20)])
    func `cuts a connection after so many bytes`(ending: TCPProxy.Ending, lag: Duration) async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port)
        let cut = TCPProxy.Cut(.toClient, after: 3, ending, lag: lag)
        proxy.setPlan { number in TCPProxy.Plan(cut: number == 1 ? cut : nil) }
        let client = try RawClient(port: proxy.port)
        client.send(Bytes.connect("dev1"))
        let (bytes, end) = client.readToEnd()
        #expect(end == (ending == .close ? .eof : .reset))
        #expect(bytes == Array(Self.connack.prefix(3)))
        #expect(proxy.cuts(.toClient) == 1 && proxy.cuts(.toBroker) == 0)
        // The broker sees the end too, and the plan of the second connection has no cut.
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        _ = try connect(proxy)
        await broker.stop()
    }

    @Test func `sends nothing on after a cut to the broker`() async throws {
        let broker = try await ScriptedBroker.start()
        let packet = Bytes.connect("dev1")
        let proxy = try TCPProxy(to: broker.port, plan: .init(cut: .init(.toBroker, after: packet.count - 1)))
        let client = try RawClient(port: proxy.port)
        client.send(packet)
        #expect(client.readToEnd().bytes == [])
        #expect(proxy.cuts(.toBroker) == 1)
        #expect(proxy[.toBroker].sent == packet.count - 1)
        #expect(broker.connects.isEmpty)
        await broker.stop()
    }

    @Test func `flips a byte of a TLS record, and ends the stream before another`() async throws {
        let records: [UInt8] = [22, 3, 3, 0, 2, 10, 11, 23, 3, 3, 0, 3, 20, 21, 22]
        let broker = try await ScriptedBroker.start(script: [.raw(records), .raw(records)])
        var plan = TCPProxy.Plan(flip: .init(.init(record: 1, byte: 6), mask: 0xFF), observesRecords: true)
        let proxy = try TCPProxy(to: broker.port, plan: plan)
        let client = try RawClient(port: proxy.port)
        #expect(client.read(15) == [22, 3, 3, 0, 2, 10, 11, 23, 3, 3, 0, 3, 20, 21 ^ 0xFF, 22])
        #expect(proxy.hasFlipped)
        #expect(proxy[.toClient].records == [.init(type: 22, length: 7), .init(type: 23, length: 8)])

        plan.end = .init(record: 1)
        proxy.setPlan(plan)
        let (bytes, end) = try RawClient(port: proxy.port).readToEnd()
        #expect(bytes == Array(records.prefix(7)) && end == .eof)
        #expect(!proxy.hasFlipped)
        await broker.stop()
    }

    @Test(arguments: [TCPProxy.Pieces.single, .random(seed: 1)])
    func `sends pieces on that add up`(pieces: TCPProxy.Pieces) async throws {
        let bytes = (0..<5_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        let broker = try await ScriptedBroker.start(script: [.raw(bytes)])
        let proxy = try TCPProxy(to: broker.port, plan: .init(pieces: pieces))
        #expect(try RawClient(port: proxy.port).read(bytes.count) == bytes)
        withExtendedLifetime(proxy) {}
        await broker.stop()
    }

    @Test func `withholds a packet that its filter ends, and passes those before it`() async throws {
        let broker = try await ScriptedBroker.start()
        let filter: @Sendable ([UInt8]) -> TCPProxy.Verdict = { packet in
            packet.contains(UInt8(ascii: "!")) ? .end([1, 2, 3]) : .pass
        }
        let proxy = try TCPProxy(to: broker.port, plan: .init(filter: filter))
        let client = try connect(proxy)
        // In one segment, and the last packet in two.
        let bytes = Bytes.publish("a", "x") + Bytes.publish("a", "!") + Bytes.publish("a", "y")
        client.send(Array(bytes.dropLast()))
        client.send(Array(bytes.suffix(1)))
        let (answer, end) = client.readToEnd()
        #expect(answer == [1, 2, 3])
        #expect(end != .timeout)
        #expect(proxy.rejections == 1)
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        #expect(broker.publishes.map(\.payload) == [Array("x".utf8)])
        await broker.stop()
    }

    @Test func `holds bytes back until its valve opens`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port)
        let client = try connect(proxy)
        proxy.set(.toClient, .collecting)
        client.send(Bytes.subscribe("a", qos: 0))
        #expect(await eventually { proxy[.toClient].received == 9 })
        #expect(proxy[.toClient].sent == 4)
        proxy.inject([7])
        proxy.finish()
        proxy.set(.toClient, .open)
        let (bytes, end) = client.readToEnd()
        #expect(bytes == [0x90, 3, 0, 1, 0, 7] && end == .eof)
        await broker.stop()
    }

    @Test func `ends all connections at once, or when what is under way has arrived`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try TCPProxy(to: broker.port)
        let clients = try [connect(proxy), connect(proxy, clientID: "dev2")]
        #expect(proxy.connections == 2)
        proxy.end(.reset)
        for client in clients {
            let (bytes, end) = client.readToEnd()
            #expect(bytes.isEmpty && end == .reset)
        }
        let client = try connect(proxy)
        proxy.set(.toClient, .collecting)
        client.send(Bytes.subscribe("a", qos: 0))
        #expect(await eventually { proxy[.toClient].received == 9 })
        proxy.end(.close, afterDelivery: true)
        proxy.set(.toClient, .open)
        let (bytes, end) = client.readToEnd()
        #expect(bytes == [0x90, 3, 0, 1, 0] && end == .eof)
        await broker.stop()
    }

    @Test func `goes to another broker when it is told to, and closes when there is none`() async throws {
        let brokers = [try await ScriptedBroker.start(), try await ScriptedBroker.start()]
        let proxy = try TCPProxy(to: brokers[0].port)
        _ = try connect(proxy)
        proxy.setBroker(port: brokers[1].port)
        _ = try connect(proxy)
        #expect(brokers.map(\.connects.count) == [1, 1])
        proxy.setBroker(port: try freePort())
        #expect(try RawClient(port: proxy.port).readToEnd().end != .timeout)
        proxy.stop()
        #expect(await eventually { (try? RawClient(port: proxy.port)) == nil })
        for broker in brokers { await broker.stop() }
    }

    @Test func `listens at a Unix socket, and goes to one`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        let broker = try await ScriptedBroker.start(unixSocket: path)
        let proxy = try TCPProxy(to: .unixSocket(path), at: folder.path + "/proxy.sock", plan: .init(pieces: .single))
        var configuration = MQTTClientConfiguration(endpoints: [proxy.endpoint], tls: nil)
        configuration.retry = .none
        try await withMQTTClient(configuration) { client in _ = try await client.publish("x", to: "a") }
        #expect(broker.publishes.map(\.topic) == ["a"])
        #expect(throws: MosquittoTestingError.self) { try TCPProxy(to: broker.port, at: path) }
        await broker.stop()
    }
}

@Suite(.turn(.tools)) struct BlackholeTests {
    #if os(Linux)
    @Test func `answers no SYN`() async throws {
        let hole = try Blackhole()
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: hole.port, tls: nil)
        configuration.retry = .none
        configuration.timeouts.connect = .milliseconds(300)
        configuration.connection.firstConnection = .failFast
        let error = await #expect(throws: MQTTError.self) { try await withMQTTClient(configuration) { _ in } }
        #expect(error?.code == .timeout && error?.phase == .connect)
        withExtendedLifetime(hole) {}
    }
    #endif

    @Test func `needs an address and a free port`() throws {
        #expect(throws: MosquittoTestingError.invalidAddress("localhost")) { try Blackhole(address: "localhost") }
        let hole = try Blackhole()
        #expect(throws: MosquittoTestingError.self) { try Blackhole(port: hole.port) }
        withExtendedLifetime(hole) {}
    }
}
