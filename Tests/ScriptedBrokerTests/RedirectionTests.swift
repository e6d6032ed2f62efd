// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// "127.0.0.1" and "localhost" are different hosts to the policy, though the same brokers answer.
@Suite("A redirection is followed as far as the policy goes, and no credential goes further", .turn(.scripted))
struct RedirectionTests {
    private let address = "127.0.0.1"
    private let name = "localhost"

    private func configuration(
        _ policy: MQTTRedirectPolicy, at ports: [Int], provider: RecordingProvider? = nil
    ) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: ports[0])
        configuration.endpoints = ports.map { MQTTEndpoint(host: address, port: $0) }
        configuration.connection.redirects = policy
        configuration.credentials = provider
        return configuration
    }

    private func start(_ script: [ConnectionScript] = [.serve]) async throws -> ScriptedBroker {
        try await ScriptedBroker.start(tls: TestTLS.identity, script: script)
    }

    @Test(arguments: [UInt8(0x9C), 0x9D], [true, false])
    func `by default a client stays, slowly, and tells where it was sent`(code: UInt8, isConnack: Bool) async throws {
        let target = try await start()
        let reference = "\(address):\(target.port)"
        let origin = try await start([
            isConnack
                ? redirectingScript(code, to: reference)
                : .serveThenDisconnect(
                    reasonCode: code, properties: BrokerBytes.serverReference(reference), after: .milliseconds(10)),
            .serve,
        ])
        try await withRunningClient(configuration(.none, at: [origin.port])) { client, log in
            #expect(await origin.waitUntil { $0.connects.count == 2 })
            #expect(await log.wait { !$0.failures.isEmpty || !$0.disconnections.isEmpty })
            let failures = await log.failures
            let lost = await log.disconnections
            #expect(failures.map(\.error.serverReference) + lost.map(\.error.serverReference) == [reference])
            #expect(failures.map(\.decision) + lost.map(\.decision) == [.retry(.slow)])
            #expect(failures.map(\.redirectedTo) + lost.map(\.redirectedTo) == [nil])
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(target.acceptedConnections == 0)
        }
        await origin.stop()
        await target.stop()
    }

    @Test(arguments: [UInt8(0x9C), 0x9D], [true, false])
    func `a listed host is gone to at once, and the provider is asked for it`(code: UInt8, isConnack: Bool) async throws
    {
        let target = try await start()
        let reference = "\(address):\(target.port)"
        let origin = try await start([
            isConnack
                ? redirectingScript(code, to: reference)
                : .serveThenDisconnect(
                    reasonCode: code, properties: BrokerBytes.serverReference(reference), after: .milliseconds(10)),
            .serve,
        ])
        let provider = RecordingProvider()
        try await withRunningClient(configuration(.listed, at: [origin.port], provider: provider)) { _, log in
            let there = MQTTEndpoint(host: address, port: target.port)
            #expect(await log.wait { $0.connections.last?.endpoint == there })
            let failures = await log.failures
            let lost = await log.disconnections
            #expect(failures.map(\.decision) + lost.map(\.decision) == [.redirect])
            #expect(failures.map(\.redirectedTo) + lost.map(\.redirectedTo) == [there])
            #expect(failures.map(\.retryIn) + lost.map(\.retryIn) == [.zero])
            #expect(await provider.endpoints == [MQTTEndpoint(host: address, port: origin.port), there])
            #expect(await provider.purposes == [.connect, .connect])
            #expect(target.connects.map(\.password) == ["token-2"])
            #expect(await log.violation == nil)
        }
        await origin.stop()
        await target.stop()
    }

    @Test(arguments: [UInt8(0x9C), 0x9D])
    func `a host that is not listed is not even connected to`(code: UInt8) async throws {
        let target = try await start()
        let reference = "\(name):\(target.port)"
        let origin = try await start([redirectingScript(code, to: reference), .serve])
        let provider = RecordingProvider()
        try await withRunningClient(configuration(.listed, at: [origin.port], provider: provider)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { $0.failures.map(\.decision) == [.retry(.slow)] })
            #expect(await provider.endpoints.allSatisfy { $0.host == address })
            #expect(target.acceptedConnections == 0)
        }
        await origin.stop()
        await target.stop()
    }

    @Test func `of several references the first one that is allowed is taken`() async throws {
        let forbidden = try await start()
        let allowed = try await start()
        let origin = try await start([
            redirectingScript(0x9C, to: "\(name):\(forbidden.port) \(address):\(allowed.port)")
        ])
        try await withRunningClient(configuration(.listed, at: [origin.port])) { _, log in
            #expect(await log.wait { $0.connections.last?.endpoint.port == allowed.port })
            #expect(forbidden.acceptedConnections == 0)
        }
        for broker in [origin, allowed, forbidden] { await broker.stop() }
    }

    @Test func `with the policy any, the certificate has to be one for the new host`() async throws {
        let target = try await ScriptedBroker.start(
            tls: try TestTLS.authority.serverIdentity(names: [], addresses: ["127.0.0.1", "::1"]))
        let origin = try await start([redirectingScript(0x9C, to: "\(name):\(target.port)")])
        var configuration = configuration(.any, at: [origin.port], provider: RecordingProvider())
        // Back at the origin it is sent there again, and there has to be time for a look.
        configuration.retry.minimumDelay = .milliseconds(100)
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.failures.count >= 2 })
            let failure = try #require(await log.failures.dropFirst().first)
            #expect(failure.endpoint == MQTTEndpoint(host: name, port: target.port))
            #expect(failure.error.code == .tlsVerification)
            #expect(failure.error.tls?.verification?.code == 62, "a certificate for another name")
            #expect(target.applicationBytesReceived == 0, "no CONNECT, hence no credential, was sent")

            try target.replaceIdentity(TestTLS.authority.serverIdentity(names: [name], addresses: []))
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint == MQTTEndpoint(host: name, port: target.port))
        }
        await origin.stop()
        await target.stop()
    }

    @Test func `brokers that send a client in a circle are backed away from`() async throws {
        let first = try await start()
        let second = try await start()
        first.setScript([redirectingScript(0x9C, to: "\(address):\(second.port)")])
        second.setScript([redirectingScript(0x9C, to: "\(address):\(first.port)")])
        try await withRunningClient(configuration(.listed, at: [first.port])) { _, log in
            #expect(await log.wait { $0.failures.count >= 6 })
            let failures = await log.failures.prefix(6)
            #expect(
                failures.map(\.decision) == [
                    .redirect, .retry(.slow), .redirect, .retry(.slow), .redirect, .retry(.slow),
                ])
            #expect(failures.allSatisfy { $0.decision == .redirect || ($0.retryIn ?? .zero) >= .milliseconds(10) })
            #expect(failures.map(\.endpoint.port) == [first, second, first, second, first, second].map(\.port))
            #expect(await log.violation == nil)
        }
        await first.stop()
        await second.stop()
    }

    @Test func `brokers that accept a client before they send it in a circle are backed away from`() async throws {
        let first = try await start()
        let second = try await start()
        for (broker, other) in [(first, second), (second, first)] {
            broker.setScript([
                .serveThenDisconnect(
                    reasonCode: 0x9C, properties: BrokerBytes.serverReference("\(address):\(other.port)"),
                    after: .milliseconds(5))
            ])
        }
        try await withRunningClient(configuration(.listed, at: [first.port])) { _, log in
            #expect(await log.wait { $0.disconnections.count >= 6 })
            #expect(await log.disconnections.prefix(6).contains { $0.decision == .retry(.slow) })
            #expect(await log.disconnections.prefix(3).contains { $0.decision == .redirect })
            #expect(await log.violation == nil)
        }
        await first.stop()
        await second.stop()
    }

    @Test func `three hops are followed, and not a fourth`() async throws {
        var brokers: [ScriptedBroker] = [try await start()]
        for _ in 0..<4 {
            brokers.insert(try await start([redirectingScript(0x9C, to: "\(address):\(brokers[0].port)")]), at: 0)
        }
        let ports = brokers.map(\.port)
        try await withRunningClient(configuration(.listed, at: [ports[0]])) { _, log in
            #expect(await log.wait { $0.failures.count >= 5 })
            let failures = await log.failures.prefix(5)
            #expect(failures.map(\.decision) == [.redirect, .redirect, .redirect, .retry(.slow), .redirect])
            #expect(failures.map(\.endpoint.port) == [ports[0], ports[1], ports[2], ports[3], ports[0]])
            #expect(brokers[4].acceptedConnections == 0)
        }
        for broker in brokers { await broker.stop() }
    }

    @Test func `from a temporary redirection the client returns when that connection is lost`() async throws {
        let target = try await start()
        let origin = try await start([redirectingScript(0x9C, to: "\(address):\(target.port)"), .serve])
        try await withRunningClient(configuration(.listed, at: [origin.port])) { _, log in
            #expect(await log.wait { $0.connections.last?.endpoint.port == target.port })
            target.dropAll()
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.connections.map(\.endpoint.port) == [target.port, origin.port] })
            #expect(target.acceptedConnections == 1)
        }
        await origin.stop()
        await target.stop()
    }

    @Test func `from a temporary redirection to nowhere the client returns`() async throws {
        let origin = try await start([redirectingScript(0x9C, to: "\(address):\(try freePort())"), .serve])
        try await withRunningClient(configuration(.listed, at: [origin.port])) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.port == origin.port)
            #expect(await log.wait { $0.failures.map(\.error.code) == [.refused, .connectionRefused] })
        }
        await origin.stop()
    }

    @Test func `a permanent redirection is remembered`() async throws {
        let target = try await start()
        let origin = try await start([redirectingScript(0x9D, to: "\(address):\(target.port)"), .serve])
        var configuration = configuration(.listed, at: [origin.port])
        configuration.retry.resetAfter = .zero
        try await withRunningClient(configuration) { _, log in
            for number in 1...3 {
                #expect(await log.wait { $0.connections.count == number })
                target.dropAll()
            }
            #expect(await log.wait { $0.connections.count == 4 })
            #expect(await log.connections.allSatisfy { $0.endpoint.port == target.port })
            #expect(origin.acceptedConnections == 1)
        }
        await origin.stop()
        await target.stop()
    }

    @Test func `the old server is the last resort when the new one is gone`() async throws {
        let target = try await start()
        let origin = try await start([redirectingScript(0x9D, to: "\(address):\(target.port)"), .serve])
        try await withRunningClient(configuration(.listed, at: [origin.port])) { _, log in
            #expect(await log.wait { $0.connections.last?.endpoint.port == target.port })
            await target.stop()
            #expect(await log.wait { $0.connections.last?.endpoint.port == origin.port })
        }
        await origin.stop()
    }
}
