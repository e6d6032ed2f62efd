// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite(
    "Each mode of the first connection is precise about when it returns and what it throws", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct FirstConnectionModeTests {
    private func configuration(_ mode: MQTTFirstConnection, port: Int) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port)
        configuration.connection.firstConnection = mode
        return configuration
    }

    private func expectStopped(_ client: MQTTClient) {
        guard case .stopped = client.state else {
            Issue.record("the client is \(client.state)")
            return
        }
    }

    // MARK: background

    @Test func `background returns at once, with nobody to connect to`() async throws {
        let client = MQTTClient(configuration(.background, port: try freePort()), logger: quiet)
        try await client.start()
        #expect(!client.state.isConnected)
        try? await client.shutdown()
        expectStopped(client)
    }

    // MARK: waitUntilConnected

    @Test func `waitUntilConnected returns after the broker has come up`() async throws {
        let port = try freePort()
        let client = MQTTClient(configuration(.waitUntilConnected(within: .seconds(60)), port: port), logger: quiet)
        let log = EventLog(client)
        let start = Task {
            try await client.start()
            return client.state.isConnected
        }
        #expect(await log.wait { $0.failures.count >= 2 })
        let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
        #expect(try await start.value, "connected when start() returns")
        try await client.publish("hello", to: "a")
        try? await client.shutdown()
        await broker.stop()
    }

    @Test func `waitUntilConnected throws a timeout with the last failure, and the client has stopped`() async throws {
        // Long enough for a first failure on a machine that is busy with other tests.
        let limit = Duration.seconds(6)
        let client = MQTTClient(configuration(.waitUntilConnected(within: limit), port: try freePort()), logger: quiet)
        let log = EventLog(client)
        let publish = Task { try await client.publish("never", to: "a") }
        let began = ContinuousClock.now
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(ContinuousClock.now - began >= limit)
        #expect(error?.code == .timeout)
        #expect((error?.underlying as? MQTTError)?.code == .connectionRefused)
        expectStopped(client)
        #expect(await log.wait { $0.stopped != nil })
        #expect(await log.terminalError?.code == .timeout)
        #expect(await log.violation == nil)
        let result = await publish.outcome
        let published = #expect(throws: MQTTError.self) { try result.get() }
        #expect(published?.code == .timeout)
    }

    @Test func `waitUntilConnected ends an attempt that is under way at its limit, with its one final event`()
        async throws
    {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.silentAfterConnect])
        let mode = MQTTFirstConnection.waitUntilConnected(within: .milliseconds(500))
        let client = MQTTClient(configuration(mode, port: broker.port), logger: quiet)
        let log = EventLog(client)
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(error?.code == .timeout)
        #expect(await log.wait { $0.stopped != nil })
        #expect(await log.violation == nil)
        #expect(await log.wait { $0.failures.count == 1 })
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        await broker.stop()
    }

    @Test func `waitUntilConnected throws at once what cannot heal`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.refuse(code: 0x85, close: true)])
        let mode = MQTTFirstConnection.waitUntilConnected(within: .seconds(3_600))
        let client = MQTTClient(configuration(mode, port: broker.port), logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(error?.reasonCode == .clientIdentifierNotValid)
        expectStopped(client)
        await broker.stop()
    }

    @Test(arguments: [MQTTFirstConnection.waitUntilConnected(within: .seconds(3_600)), .failFast])
    func `a cancelled wait ends the client`(mode: MQTTFirstConnection) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.silentAfterConnect])
        let client = MQTTClient(configuration(mode, port: broker.port), logger: quiet)
        let log = EventLog(client)
        let start = Task { try await client.start() }
        #expect(await broker.waitUntil { $0.connects.count == 1 })
        start.cancel()
        let result = await start.outcome
        let error = #expect(throws: MQTTError.self) { try result.get() }
        #expect(error?.code == .cancelled)
        expectStopped(client)
        #expect(await log.wait { $0.stopped != nil })
        #expect(await log.violation == nil)
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        await broker.stop()
    }

    @Test func `after the first connection, waitUntilConnected retries without a limit`() async throws {
        let port = try freePort()
        var broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
        let mode = MQTTFirstConnection.waitUntilConnected(within: .seconds(5))
        try await withRunningClient(configuration(mode, port: port)) { client, log in
            await broker.stop()
            #expect(await log.wait { ($0.failures.isEmpty ? 0 : $0.span) > 5 }, "attempts go on past the limit")
            broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            #expect(await log.wait { $0.connections.count == 2 })
        }
        await broker.stop()
    }

    // MARK: failFast

    @Test func `failFast throws the precise failure of a port that refuses`() async throws {
        let client = MQTTClient(configuration(.failFast, port: try freePort()), logger: quiet)
        let log = EventLog(client)
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(error?.code == .connectionRefused)
        #expect(error?.phase == .connect)
        expectStopped(client)
        #expect(await log.wait { $0.stopped != nil })
        #expect(await log.names == ["attemptStarted", "attemptFailed", "stopped"])
        #expect(await log.wait { $0.failures.first?.decision == .stop })
    }

    @Test func `failFast throws the precise refusal of a broker`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.refuse(code: 0x87, close: true)])
        var configuration = configuration(.failFast, port: broker.port)
        configuration.credentials = RecordingProvider()
        let client = MQTTClient(configuration, logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(error?.code == .notAuthorized)
        #expect(error?.phase == .connack)
        #expect(broker.connects.count == 1)
        await broker.stop()
    }

    @Test func `failFast retries once it has been connected`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [.serveThenClose(after: .milliseconds(20)), .refuse(code: 0x88, close: true), .serve])
        try await withRunningClient(configuration(.failFast, port: broker.port)) { _, log in
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.failures.map(\.error.reasonCode) == [.serverUnavailable] })
        }
        await broker.stop()
    }

    // MARK: withMQTTClient

    @Test(arguments: [MQTTFirstConnection.waitUntilConnected(within: .seconds(60)), .failFast])
    func `the body of withMQTTClient begins connected`(mode: MQTTFirstConnection) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let isConnected = try await withMQTTClient(configuration(mode, port: broker.port), logger: quiet) {
            $0.state.isConnected
        }
        #expect(isConnected)
        await broker.stop()
    }

    @Test(arguments: [
        (MQTTFirstConnection.waitUntilConnected(within: .milliseconds(300)), MQTTError.Code.timeout),
        (.failFast, .connectionRefused),
    ])
    func `the body of withMQTTClient does not begin without a connection`(
        mode: MQTTFirstConnection, code: MQTTError.Code
    ) async throws {
        let begun = Counter()
        let error = await #expect(throws: MQTTError.self) {
            try await withMQTTClient(configuration(mode, port: try freePort()), logger: quiet) { _ in
                await begun.increment()
            }
        }
        #expect(error?.code == code)
        #expect(await begun.value == 0)
    }

    @Test(arguments: [MQTTFirstConnection.background, .failFast])
    func `publishers, subscribers and waiters of a client that stops get its error`(mode: MQTTFirstConnection)
        async throws
    {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.silentAfterConnect])
        var configuration = configuration(mode, port: broker.port)
        configuration.timeouts.connack = .seconds(60)
        configuration.timeouts.attempt = .seconds(60)
        let client = MQTTClient(configuration, logger: quiet)
        let calls: [Task<Void, any Error>] = [
            Task { try await client.publish("x", to: "a") },
            Task { try await client.publish("x", to: "a", qos: .atMostOnce) },
            Task { try await client.waitUntilConnected() },
            Task { try await client.subscribe(to: "a") { _ in } },
        ]
        let run = Task { try await client.run() }
        #expect(await broker.waitUntil { $0.connects.count == 1 })
        broker.inject(BrokerBytes.refusal(0x8A))
        for call in calls {
            let result = await call.outcome
            let error = #expect(throws: MQTTError.self) { try result.get() }
            #expect(error?.reasonCode == .banned)
        }
        let result = await run.outcome
        let error = #expect(throws: MQTTError.self) { try result.get() }
        #expect(error?.reasonCode == .banned)
        await broker.stop()
    }
}
