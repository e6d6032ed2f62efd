// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("What is not a proper CONNACK is never taken for one", .turn(.scripted))
struct BrokenConnackTests {
    @Test(
        arguments: [
            (UInt8(1), MQTTReasonCode.unsupportedProtocolVersion, MQTTRetryPolicy.Decision.stop),
            (2, .clientIdentifierNotValid, .stop),
            (3, .serverUnavailable, .retry(.standard)),
            (5, .notAuthorized, .retryWithFreshCredentials),
            (0x87, .notAuthorized, .retryWithFreshCredentials),
        ], [TestTLS.identity, nil])
    func `a refusal in the form of 3_1_1 answers a CONNECT of 5_0`(
        refusal: (code: UInt8, meaning: MQTTReasonCode, decision: MQTTRetryPolicy.Decision), tls: TestIdentity?
    ) async throws {
        let (code, meaning, decision) = refusal
        let broker = try await ScriptedBroker.start(
            tls: tls, script: [.reply(BrokerBytes.refusal(code, .v3_1_1), close: true), .serve])
        var configuration = testConfiguration(port: broker.port)
        if tls == nil { configuration.tls = nil }
        configuration.credentials = RecordingProvider()
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.stopped != nil || !$0.connections.isEmpty })
            #expect(await log.wait { !$0.failures.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.reasonCode == meaning)
            #expect(failure.error.rawReasonCode == code)
            #expect(failure.error.phase == .connack)
            #expect(failure.decision == decision)
            #expect(await log.wait { $0.failures.count == 1 })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test func `an acceptance in the form of 3_1_1 is none for a CONNECT of 5_0`() async throws {
        for tls in [TestTLS.identity, nil] {
            let broker = try await ScriptedBroker.start(
                tls: tls, script: [.reply(BrokerBytes.acceptance(.v3_1_1), close: false), .silentAfterConnect])
            var configuration = testConfiguration(port: broker.port)
            if tls == nil { configuration.tls = nil }
            try await withRunningClient(configuration) { _, log in
                #expect(await broker.waitUntil { $0.connects.count == 2 })
                #expect(await log.wait { !$0.failures.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .protocolViolation, "\(failure.error)")
                #expect(failure.decision == .retry(.slow))
                #expect(await log.connections.isEmpty)
            }
            await broker.stop()
        }
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [true, false])
    func `a second CONNACK ends the connection`(version: MQTTVersion, isTLS: Bool) async throws {
        let acceptance = BrokerBytes.acceptance(version)
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil, script: [.reply(acceptance + acceptance, close: false), .serve])
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isTLS { configuration.tls = nil }
        try await withRunningClient(configuration) { client, log in
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            try await client.publish("alive", to: "a")
            #expect(
                await log.wait {
                    ($0.failures.map(\.error) + $0.disconnections.map(\.error)).map(\.code) == [.protocolViolation]
                })
            #expect(await log.disconnections.allSatisfy { $0.decision == .retry(.slow) })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [true, false])
    func `a refusal that an acceptance follows in the same segment is never a connection`(
        version: MQTTVersion, isTLS: Bool
    ) async throws {
        let bytes = BrokerBytes.refusal(version == .v5_0 ? 0x88 : 3, version) + BrokerBytes.acceptance(version)
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil,
            script: [.reply(bytes, close: false), .reply(bytes, close: true), .silentAfterConnect])
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isTLS { configuration.tls = nil }
        try await withRunningClient(configuration) { _, log in
            #expect(await broker.waitUntil { $0.connects.count == 3 })
            #expect(await log.connections.isEmpty)
            #expect(await log.wait { $0.failures.map(\.error.reasonCode) == [.serverUnavailable, .serverUnavailable] })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [true, false])
    func `after three closes before CONNACK the provider is told once that its credentials may be refused`(
        version: MQTTVersion, isTLS: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil,
            script: Array(repeating: .closeAfterConnect, count: 6) + [.serve])
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isTLS { configuration.tls = nil }
        let provider = RecordingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await provider.purposes == [.connect, .connect, .connect, .rejected, .connect, .connect, .connect])
            let retry = MQTTRetryPolicy.Decision.retry(.standard)
            #expect(
                await log.failures.map(\.decision) == [retry, retry, .retryWithFreshCredentials, retry, retry, retry])
            #expect(await log.failures.allSatisfy { $0.error.code == .closed && $0.error.phase == .connack })
            #expect(await log.wait { $0.failures.map(\.attempt) == Array(1...6) })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test func `without credentials, closes before CONNACK are only retried`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: Array(repeating: .closeAfterConnect, count: 4) + [.serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.failures.allSatisfy { $0.decision == .retry(.standard) })
        }
        await broker.stop()
    }
}

@Suite("A refused client certificate is told apart, and read again", .turn(.scripted))
struct ClientCertificateRefusalTests {
    @Test func `a certificate of another authority is refused by an alert, and replaced as soon as its files are`()
        async throws
    {
        let other = try TestCertificateAuthority(commonName: "someone else").clientIdentity(commonName: "dev1")
        let folder = try TemporaryDirectory()
        let certificate = try folder.write(other.certificatePEM, to: "client.pem")
        let key = try folder.write(other.privateKeyPEM, to: "client.key")
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.identity = .files(certificate: certificate, key: key)
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.failures.count >= 3 })
            let failures = await log.failures
            for failure in failures {
                #expect(failure.error.code == .tlsAlert, "\(failure.error)")
                #expect(failure.error.tls?.alert?.received == true)
                #expect([.tlsHandshake, .connack].contains(failure.error.phase))
            }
            #expect(failures[0].decision == .retryWithFreshCredentials)
            #expect(failures.dropFirst().allSatisfy { $0.decision == .retry(.slow) })
            let right = try TestTLS.authority.clientIdentity(commonName: "dev1")
            try folder.write(right.privateKeyPEM, to: "client.key")
            try folder.write(right.certificatePEM, to: "client.pem")
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test func `without a certificate to renew, the alert waits in the slow tier`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        try await withRunningClient(testConfiguration(port: broker.port)) { _, log in
            #expect(await log.wait { $0.failures.count >= 2 })
            #expect(await log.failures.allSatisfy { $0.error.code == .tlsAlert && $0.decision == .retry(.slow) })
        }
        await broker.stop()
    }
}
