// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// Large messages over slow links: no guaranteed message is cut off.
@Suite("A slow link", .turn(.scripted), .timeLimit(.minutes(2)))
struct SlowLinkTests {
    private func configuration(of proxy: TCPProxy, _ wire: Wire) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: 1)
        configuration.endpoints = [proxy.endpoint]
        if wire == .plain { configuration.tls = nil } else { configuration.tls?.serverName = "localhost" }
        configuration.will = MQTTWill(topic: "will", payload: "gone")
        return configuration
    }

    @Test("gets a QoS 0 message whole, then DISCONNECT, at a shutdown (core 2)", arguments: [Wire.plain, .tls13])
    func shutdown(wire: Wire) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        let proxy = try TCPProxy(
            to: broker.port, plan: .init(bytesPerSecond: 2 << 20), kernelBuffer: 65_536)
        let client = MQTTClient(configuration(of: proxy, wire), logger: quiet)
        try await client.start()
        try client.enqueue([UInt8](repeating: 1, count: 6 << 20), to: "large", qos: .atMostOnce)
        try await client.waitUntilConnected()
        try await client.shutdown()
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        #expect(broker.publishes.map(\.topic) == ["large"])
        #expect(broker.publishes.first?.payload.count == 6 << 20)
        await broker.stop()
    }

    @Test("gets a QoS 0 message whole, then DISCONNECT, at a rotation (core 2)", arguments: [Wire.plain, .tls13])
    func rotation(wire: Wire) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        let proxy = try TCPProxy(
            to: broker.port, plan: .init(bytesPerSecond: 2 << 20), kernelBuffer: 65_536)
        var configuration = configuration(of: proxy, wire)
        let number = Counter()
        configuration.credentials = .closure { _ in
            MQTTCredentials(username: "u", password: MQTTSecret("token-\(await number.next())"))
        }
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected()
            try client.enqueue([UInt8](repeating: 1, count: 6 << 20), to: "large", qos: .atMostOnce)
            try await client.rotateCredentials()
            #expect(await log.wait { $0.rotations.count == 1 })
            #expect(broker.publishes.map(\.topic) == ["large"])
            #expect(await broker.waitUntil { $0.disconnects == [0] })
        }
        await broker.stop()
    }

    @Test(
        "that stands still ends a shutdown in bounded time, with an error that counts (core 2)",
        arguments: [
            Wire.plain, .tls13,
        ])
    func standstill(wire: Wire) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
        var configuration = configuration(of: proxy, wire)
        configuration.timeouts.drain = .seconds(1)
        let client = MQTTClient(configuration, logger: quiet)
        let log = EventLog(client)
        try await client.start()
        try await client.waitUntilConnected()
        proxy.set(.toBroker, .shut)
        for _ in 0..<3 { try client.enqueue([UInt8](repeating: 1, count: 12 << 20), to: "large", qos: .atMostOnce) }
        let start = ContinuousClock.now
        let error = await #expect(throws: MQTTError.self) { try await client.shutdown() }
        #expect(error?.code == .unsent)
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(await log.wait { $0.names.suffix(2) == ["messagesUnsent", "stopped"] })
        await broker.stop()
    }

    @Test(
        "takes a large QoS 1 message on the first connection, whatever the keep-alive (core 8)",
        arguments: [
            Wire.plain, .tls13,
        ])
    func keepAlive(wire: Wire) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity)
        let proxy = try TCPProxy(
            to: broker.port, plan: .init(bytesPerSecond: 500_000), kernelBuffer: 65_536)
        var configuration = configuration(of: proxy, wire)
        configuration.keepAlive = .seconds(5)
        try await withRunningClient(configuration) { client, _ in
            // Longer than the connection would live if silence alone counted: 5 s to PINGREQ and 5 s for its answer.
            try await client.publish([UInt8](repeating: 1, count: 6_000_000), to: "large")
            #expect(broker.connects.count == 1)
        }
        await broker.stop()
    }
}
