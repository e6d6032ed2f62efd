// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// Every state in which a client can be when it is ended.
enum LifePhase: String, Sendable, CaseIterable {
    case credentials, connect, tlsHandshake, connack, waiting, connected

    /// Returns a broker and a configuration with which a client reaches this phase, and stays in it.
    func prepare() async throws -> (configuration: MQTTClientConfiguration, broker: ScriptedBroker?, hole: Blackhole?) {
        let script: [ConnectionScript]
        switch self {
        case .connect:
            let hole = try Blackhole()
            return (testConfiguration(port: hole.port), nil, hole)
        case .waiting:
            var configuration = testConfiguration(port: try freePort())
            configuration.retry.minimumDelay = .seconds(60)
            configuration.retry.maximumDelay = .seconds(60)
            return (configuration, nil, nil)
        case .credentials:
            var configuration = testConfiguration(port: try freePort())
            configuration.credentials = .closure { _ in
                try await Task.sleep(for: .seconds(3_600))
                return .anonymous
            }
            return (configuration, nil, nil)
        case .tlsHandshake: script = [.silent]
        case .connack: script = [.silentAfterConnect]
        case .connected: script = [.serve]
        }
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: script)
        return (testConfiguration(port: broker.port), broker, nil)
    }

    /// Returns true if `client`, the `number`th client of the broker, has reached this phase.
    func isReached(_ client: MQTTClient, _ broker: ScriptedBroker?, number: Int = 1) -> Bool {
        switch (self, client.state) {
        case (.credentials, .connecting), (.connect, .connecting): true
        case (.tlsHandshake, .connecting): broker?.acceptedConnections == number
        case (.connack, .connecting): broker?.connects.count == number
        case (.waiting, .waiting), (.connected, .connected): true
        default: false
        }
    }
}

extension LifePhase {
    /// Measures five times how soon `run()` returns after its task is cancelled in this phase.
    func cancellationTimes(of configuration: MQTTClientConfiguration, _ broker: ScriptedBroker?) async throws
        -> [Duration]
    {
        var times: [Duration] = []
        for number in 1...5 {
            let client = MQTTClient(configuration, logger: quiet)
            let run = Task { try await client.run() }
            try #require(await eventually { isReached(client, broker, number: number) })
            let start = ContinuousClock.now
            run.cancel()
            let result = await run.result
            times.append(ContinuousClock.now - start)
            let error = #expect(throws: MQTTError.self) { try result.get() }
            #expect(error?.code == .cancelled)
            guard case .stopped = client.state else {
                Issue.record("the client is \(client.state)")
                break
            }
        }
        return times.sorted()
    }
}

@Suite("A client can be ended at any moment", .turn(.scripted))
struct LifecycleTests {
    @Test(arguments: LifePhase.allCases)
    func `run() ends at its cancellation`(phase: LifePhase) async throws {
        let (configuration, broker, hole) = try await phase.prepare()
        defer { withExtendedLifetime(hole) {} }
        _ = try await phase.cancellationTimes(of: configuration, broker)
        if phase == .connected {
            #expect(await broker?.waitUntil { $0.disconnects.count == 5 } == true, "each sends its DISCONNECT")
        }
        await broker?.stop()
    }

    @Test(arguments: LifePhase.allCases)
    func `a client whose last reference is dropped ends by itself`(phase: LifePhase) async throws {
        let (configuration, broker, hole) = try await phase.prepare()
        defer { withExtendedLifetime(hole) {} }
        var client: MQTTClient? = MQTTClient(configuration, logger: quiet)
        let events = try #require(client).events()
        try await client?.start()
        #expect(await eventually { client.map { phase.isReached($0, broker) } ?? false })
        client = nil
        // The stream of events ends when the session has stopped.
        var last: MQTTConnectionEvent?
        for await event in events { last = event }
        guard case .stopped(nil) = last?.kind else { return #expect(Bool(false), "\(String(describing: last))") }
        if phase == .connected {
            #expect(await broker?.waitUntil { $0.disconnects == [0] && $0.openConnections == 0 } == true)
        }
        await broker?.stop()
    }

    @Test func `a second run throws`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            let error = await #expect(throws: MQTTError.self) { try await client.run() }
            #expect(error?.code == .alreadyRunning)
            try await client.publish("unharmed", to: "a")
        }
        await broker.stop()
    }

    @Test func `a graceful shutdown waits for acknowledgements, then sends DISCONNECT`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.timeouts.drain = .seconds(60)
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        for number in 0..<1_000 { try client.enqueue("\(number)", to: "a", qos: .exactlyOnce) }
        try? await client.shutdown()
        #expect(broker.routedCount == 1_000)
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        await broker.stop()
    }

    @Test func `a graceful shutdown does not wait for acknowledgements that QoS 0 does not have`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.timeouts.drain = .seconds(3_600)
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        for number in 0..<10_000 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
        try? await client.shutdown()
        // A slow broker may still be reading the client's packets.
        #expect(await broker.waitUntil(timeout: .seconds(30)) { $0.publishCount == 10_000 && $0.disconnects == [0] })
        await broker.stop()
    }

    @Test func `calls after the end throw at once`() async throws {
        let client = MQTTClient(testConfiguration(port: try freePort()), logger: quiet)
        try await client.start()
        try? await client.shutdown()
        for call: @Sendable () async throws -> Void in [
            { _ = try await client.publish("x", to: "a") },
            { try client.enqueue("x", to: "a") },
            { _ = try await client.waitUntilConnected() },
            { try await client.subscribe(to: "a") { _ in } },
            { try await client.start() },
        ] {
            await #expect(throws: MQTTError.self) { try await call() }
        }
        try? await client.shutdown()
    }

    @Test func `cancelled calls return at once, and the client goes on`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.silentAfterConnect, .serve])
        let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
        try await client.start()
        let calls: [Task<Void, any Error>] = [
            Task { try await client.publish("x", to: "a") },
            Task { try await client.waitUntilConnected() },
            Task { try await client.subscribe(to: "a") { messages in for await _ in messages {} } },
        ]
        for call in calls { call.cancel() }
        for call in calls {
            let result = await call.result
            #expect(throws: MQTTError.self) { try result.get() }
        }
        try? await client.shutdown()
        await broker.stop()
    }

    @Test func `withMQTTClient throws what stopped the client, and cancels its body`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.refuse(code: 0x8A, close: true)])
        let error = await #expect(throws: MQTTError.self) {
            try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet) { _ in
                try await Task.sleep(for: .seconds(3_600))
            }
        }
        #expect(error?.reasonCode == .banned)
        await broker.stop()
    }

    @Test func `withMQTTClient throws its body's error after a clean DISCONNECT`() async throws {
        struct Mine: Error {}
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        await #expect(throws: Mine.self) {
            try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet) { client in
                try await client.publish("x", to: "a")
                throw Mine()
            }
        }
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        await broker.stop()
    }
}
