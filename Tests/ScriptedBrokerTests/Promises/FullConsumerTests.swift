// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite("A consumer that is full", .turn(.scripted), .timeLimit(.minutes(1)))
struct FullConsumerTests {
    /// A subscriber whose only consumer takes one message and sleeps, with its buffer full.
    private func withFullConsumer(
        _ wire: Wire, _ change: (inout MQTTClientConfiguration) -> Void = { _ in },
        _ body: (ScriptedBroker, MQTTClient, EventLog) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
        var configuration = testConfiguration(port: broker.port, tls: wire.isTLS ? tls(wire) : nil)
        configuration.endpoints = configuration.endpoints.map(wire.endpoint)
        change(&configuration)
        let taken = Counter()
        try await withRunningClient(configuration) { client, log in
            let consumer = Task {
                try await client.subscribe(
                    to: "full", buffer: MQTTBufferPolicy(capacity: 1, whenFull: .pauseReading)
                ) { messages in
                    for await _ in messages {
                        await taken.increment()
                        try await Task.sleep(for: .seconds(3_600))
                    }
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            // One that the consumer has, and two for a buffer of one.
            broker.publish(topic: "full", payload: "first")
            #expect(await eventually { await taken.value == 1 })
            for _ in 0..<2 { broker.publish(topic: "full", payload: "more") }
            #expect(await eventually { await client.session.isPaused })
            try await body(broker, client, log)
            consumer.cancel()
            _ = await consumer.result
        }
        await broker.stop()
    }

    private func tls(_ wire: Wire) -> MQTTTLSConfiguration {
        var tls = MQTTTLSConfiguration(trust: .pem(TestTLS.authority.certificatePEM))
        tls.maximumVersion = wire == .tls12 ? .v1_2 : .v1_3
        return tls
    }

    @Test("does not keep the client from its next connection (core 1)", arguments: Wire.allCases)
    func reset(wire: Wire) async throws {
        try await withFullConsumer(wire) { broker, client, log in
            for connection in 2...4 {
                let start = ContinuousClock.now
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count == connection })
                #expect(await log.wait { _ in client.state.isConnected })
                #expect(await broker.waitUntil { $0.count(of: .subscribe) == connection })
                #expect(ContinuousClock.now - start < .seconds(10))
                // Reading pauses again when more messages arrive than the consumer takes.
                for number in 0..<3 { broker.publish(topic: "full", payload: "\(number)") }
                #expect(await eventually { await client.session.isPaused })
            }
            #expect(await log.failures.isEmpty)
        }
    }

    @Test("does not keep the client from rotating its credentials (core 1)", arguments: Wire.allCases)
    func rotation(wire: Wire) async throws {
        let number = Counter()
        let change: (inout MQTTClientConfiguration) -> Void = { configuration in
            configuration.credentials = .closure { _ in
                MQTTCredentials(username: "u", password: MQTTSecret("token-\(await number.next())"))
            }
        }
        try await withFullConsumer(wire, change) { broker, client, log in
            for rotation in 1...3 {
                let start = ContinuousClock.now
                try await client.rotateCredentials()
                // Neither the handshake nor the end of the previous connection waits for the consumer.
                #expect(ContinuousClock.now - start < .seconds(5))
                #expect(await log.wait { $0.rotations.count == rotation })
                #expect(broker.connects.count == rotation + 1)
            }
            #expect(await log.failures.isEmpty)
        }
    }

    @Test("does not hide that the broker has closed its side (core 1)", arguments: Wire.allCases)
    func finish(wire: Wire) async throws {
        try await withFullConsumer(wire) { broker, _, log in
            broker.dropAll()
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            #expect(await log.wait { $0.disconnections.map(\.error.code) == [.closed] })
        }
    }

    @Test("does not keep PINGREQ from the broker (core 1)", arguments: [Wire.plain, .tls13])
    func ping(wire: Wire) async throws {
        let change: (inout MQTTClientConfiguration) -> Void = { $0.keepAlive = .seconds(5) }
        try await withFullConsumer(wire, change) { broker, client, _ in
            #expect(await broker.waitUntil(timeout: .seconds(30)) { $0.count(of: .pingreq) == 2 })
            #expect(client.state.isConnected)
            #expect(broker.connects.count == 1)
        }
    }

    @Test("takes no more memory with each connection (core 1)")
    func memory() async throws {
        try await withFullConsumer(.plain) { broker, client, _ in
            let payload = [UInt8](repeating: 7, count: 4_096)
            for connection in 2...5 {
                broker.resetAll()
                #expect(await broker.waitUntil { $0.count(of: .subscribe) == connection })
                for _ in 0..<512 { broker.publish(topic: "full", payload: payload) }
                #expect(await eventually { await client.session.isPaused })
            }
            let buffered = await client.session.waitingMessages
            // At most one `recv` for each connection, plus the rest of a connection that ended.
            #expect(buffered < 4 * 1_024)
        }
    }

    @Test("does not make a shutdown wait for the consumer (core 1)", arguments: Wire.allCases)
    func shutdown(wire: Wire) async throws {
        try await withFullConsumer(wire) { broker, client, _ in
            let start = ContinuousClock.now
            try await client.shutdown()
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(await broker.waitUntil { $0.disconnects == [0] })
        }
    }
}
