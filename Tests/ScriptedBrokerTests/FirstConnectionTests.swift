// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("The first connection is retried like every later one", .turn(.scripted))
struct FirstConnectionTests {
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `a client started before its broker connects when the broker comes up`(version: MQTTVersion) async throws {
        let port = try freePort()
        try await withRunningClient(testConfiguration(port: port, version: version)) { client, log in
            #expect(await log.wait { $0.failures.count >= 2 })
            #expect(await log.failures.allSatisfy { $0.error.code == .connectionRefused && $0.error.phase == .connect })
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.tls?.version == "TLSv1.3")
            #expect(try await client.publish("hello", to: "a", qos: .exactlyOnce).reasonCode == .success)
            #expect(broker.publishes.map(\.text) == ["hello"])
            await broker.stop()
        }
    }

    /// The thread's own CPU clock: other tests of the process do not count.
    @Test func `waiting ten seconds for a refused TLS port costs next to no CPU`() async throws {
        let loop = MosquittoEventLoop(name: "cpu-test")
        let probe = LoopProbe(loop)
        var configuration = testConfiguration(port: try freePort())
        configuration.retry = .production
        configuration.retry.seed = 7
        let client = MQTTClient(configuration, eventLoop: loop, logger: quiet)
        let log = EventLog(client)
        try await client.start()
        #expect(await log.wait { !$0.failures.isEmpty })
        let before = await probe.cpuTime
        try await Task.sleep(for: .seconds(10))
        let used = await probe.cpuTime - before
        #expect(used < .milliseconds(50), "the loop used \(used)")
        #expect(await log.wait { $0.failures.count >= 2 })
        try? await client.shutdown()
    }

    @Test(arguments: [(MQTTVersion.v3_1_1, UInt8(5)), (.v3_1_1, 4), (.v5_0, 0x87), (.v5_0, 0x86)])
    func `refused credentials are replaced at once, though the broker leaves the socket open`(
        version: MQTTVersion, code: UInt8
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.refuse(code: code, close: false), .serve])
        var configuration = testConfiguration(port: broker.port, version: version)
        // A backoff delay would exceed the test's patience.
        configuration.retry.baseDelay = .seconds(3_600)
        configuration.retry.maximumDelay = .seconds(3_600)
        configuration.retry.minimumDelay = .seconds(3_600)
        let asked = Counter()
        configuration.credentials = .closure { attempt in
            let number = await asked.next()
            #expect(attempt.purpose == (number == 1 ? .connect : .rejected))
            #expect(attempt.lastFailure?.rawReasonCode == (number == 1 ? nil : code))
            return MQTTCredentials(username: "dev1", password: MQTTSecret("token-\(number)"))
        }
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(broker.connects.map(\.password) == ["token-1", "token-2"])
            #expect(
                await broker.waitUntil { $0.openConnections == 1 }, "the refused connection is closed by the client")
            #expect(
                await log.wait { $0.names.last == "connected" })
            #expect(
                await log.names == [
                    "attemptStarted", "credentialsRefreshed", "attemptFailed", "attemptStarted", "credentialsRefreshed",
                    "connected",
                ])
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .notAuthorized)
            #expect(failure.error.rawReasonCode == code)
            #expect(failure.decision == .retryWithFreshCredentials)
            #expect(failure.retryIn == .zero)
        }
        await broker.stop()
    }

    @Test func `an expired token in hand is replaced, and the client stays connected past the second one's expiry`()
        async throws
    {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, authentication: .token(issuer, kickOnExpiry: true))
        var configuration = testConfiguration(port: broker.port)
        let asked = Counter()
        configuration.credentials = .closure { _ in
            let isFirst = await asked.next() == 1
            return MQTTCredentials(
                username: "dev1", password: MQTTSecret(issuer.token(lifetime: isFirst ? .seconds(-60) : .seconds(12))))
        }
        // The second rotation is past the first one's expiry, and each has more than five seconds.
        configuration.rotation.refreshAt = 0.55
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { $0.failures.map(\.error.code) == [.notAuthorized] })
            #expect(await log.wait { $0.rotations.count == 2 })
            #expect(await log.disconnections.isEmpty)
            try await client.publish("still here", to: "a")
        }
        await broker.stop()
    }

    @Test func `the same refused token is not sent again, and the issuer is not hammered`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.refuse(code: 0x87, close: true)])
        var configuration = testConfiguration(port: broker.port)
        configuration.retry.minimumAuthenticationDelay = .seconds(30)
        configuration.retry.maximumDelay = .seconds(30)
        let asked = Counter()
        configuration.credentials = .closure { _ in
            await asked.increment()
            return MQTTCredentials(username: "dev1", password: "the same")
        }
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.failures.count == 2 })
            #expect(await log.wait { $0.failures.map(\.error.phase) == [.connack, .credentials] })
            #expect(await log.wait { $0.failures.last?.retryIn == .seconds(30) })
            #expect(broker.connects.count == 1)
            #expect(await asked.value == 2)
        }
        await broker.stop()
    }

    @Test(arguments: [(MQTTVersion.v3_1_1, UInt8(1)), (.v3_1_1, 2), (.v5_0, 0x84), (.v5_0, 0x85), (.v5_0, 0x8C)])
    func `a refusal that cannot heal ends run() with its reason`(version: MQTTVersion, code: UInt8) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.refuse(code: code, close: false)])
        let client = MQTTClient(testConfiguration(port: broker.port, version: version), logger: quiet)
        let waiter = Task { try await client.waitUntilConnected(timeout: .seconds(30)) }
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.code == .refused)
        #expect(error?.rawReasonCode == code)
        #expect(error?.phase == .connack)
        let waited = await #expect(throws: MQTTError.self) { try await waiter.value }
        #expect(waited?.rawReasonCode == code)
        await #expect(throws: MQTTError.self) { try await client.publish("x", to: "a") }
        await broker.stop()
    }

    @Test(arguments: [ConnectionScript.closeOnAccept, .resetOnAccept, .resetMidHandshake, .closeAfterConnect])
    func `connections that are cut before CONNACK are retried`(script: ConnectionScript) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [script, script, .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { $0.failures.map(\.error.code) == [.closed, .closed] })
        }
        await broker.stop()
    }

    @Test func `a provider that fails means no dial, and is asked again`() async throws {
        struct Unavailable: Error {}
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        let asked = Counter()
        configuration.credentials = .closure { _ in
            if await asked.next() <= 2 { throw Unavailable() }
            return .anonymous
        }
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { $0.failures.map(\.error.phase) == [.credentials, .credentials] })
            #expect(broker.acceptedConnections == 1)
        }
        await broker.stop()
    }

    @Test func `a name that does not resolve is retried`() async throws {
        var configuration = testConfiguration(port: 8883)
        configuration.endpoints[0].host = "does-not-exist.invalid"
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait(timeout: .seconds(30)) { $0.failures.count >= 2 })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .dns)
            #expect(failure.error.phase == .resolve)
        }
    }
}
