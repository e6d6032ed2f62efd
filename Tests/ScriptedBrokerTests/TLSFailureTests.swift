// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("A TLS failure says what exactly failed", .turn(.scripted))
struct TLSFailureTests {
    enum Flaw: String, Sendable, CaseIterable { case unknownAuthority, expired, notYetValid, wrongName }

    private static func flawed(_ flaw: Flaw) throws -> TestIdentity {
        switch flaw {
        case .unknownAuthority: try TestCertificateAuthority(commonName: "someone else").serverIdentity()
        case .expired:
            try TestTLS.authority.serverIdentity(
                notBefore: Date.now.addingTimeInterval(-7_200), notAfter: Date.now.addingTimeInterval(-3_600))
        case .notYetValid:
            try TestTLS.authority.serverIdentity(
                notBefore: Date.now.addingTimeInterval(3_600), notAfter: Date.now.addingTimeInterval(7_200))
        case .wrongName: try TestTLS.authority.serverIdentity(names: ["other.example"], addresses: [])
        }
    }

    /// X509_V_ERR_… of OpenSSL.
    private static func codes(_ flaw: Flaw) -> Set<Int32> {
        switch flaw {
        case .unknownAuthority: [20, 19, 18]
        case .expired: [10]
        case .notYetValid: [9]
        case .wrongName: [62]
        }
    }

    @Test(arguments: Flaw.allCases)
    func `a bad server certificate is a typed failure, sends no CONNECT, and heals when it is repaired`(flaw: Flaw)
        async throws
    {
        let broker = try await ScriptedBroker.start(tls: try Self.flawed(flaw))
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            #expect(await log.wait { $0.failures.count >= 2 })
            for failure in await log.failures {
                #expect(failure.error.code == .tlsVerification)
                #expect(failure.error.phase == .tlsHandshake)
                let verification = try #require(failure.error.tls?.verification)
                #expect(Self.codes(flaw).contains(verification.code), "\(verification)")
                #expect(verification.depth == 0)
            }
            #expect(broker.applicationBytesReceived == 0)
            try broker.replaceIdentity(TestTLS.identity)
            try await client.waitUntilConnected(timeout: .seconds(30))
        }
        await broker.stop()
    }

    @Test func `an address is checked against the certificate's addresses`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.endpoints[0].host = "127.0.0.1"
        try await withRunningClient(configuration) { client, _ in
            _ = try await client.waitUntilConnected(timeout: .seconds(30))
        }
        try broker.replaceIdentity(TestTLS.authority.serverIdentity(names: ["localhost"], addresses: []))
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            #expect(await log.wait { $0.failures.first?.error.tls?.verification?.code == 64 })
        }
        await broker.stop()
    }

    @Test func `a port that does not speak TLS is told apart`() async throws {
        let broker = try await ScriptedBroker.start(script: [.raw(Array("220 smtp.example ESMTP ready\r\n".utf8))])
        try await withRunningClient(testConfiguration(port: broker.port)) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .tlsProtocol)
            #expect(failure.error.tls?.reason == "wrong version number")
        }
        await broker.stop()
    }

    @Test func `a client certificate is presented, from files and from memory`() async throws {
        let identity = try TestTLS.authority.clientIdentity(commonName: "dev1")
        let folder = try TemporaryDirectory()
        let certificate = try folder.write(identity.certificatePEM, to: "client.pem")
        let key = try folder.write(identity.privateKeyPEM, to: "client.key")
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        for identity: MQTTTLSConfiguration.Identity in [
            .files(certificate: certificate, key: key),
            .pem(certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM)),
        ] {
            var configuration = testConfiguration(port: broker.port)
            configuration.tls?.identity = identity
            try await withRunningClient(configuration) { client, _ in
                _ = try await client.waitUntilConnected(timeout: .seconds(30))
            }
        }
        await broker.stop()
    }

    @Test func `a missing client certificate is the broker's alert, not a lost connection`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        try await withRunningClient(testConfiguration(port: broker.port)) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .tlsAlert, "\(failure.error)")
            #expect(failure.error.tls?.alert?.received == true)
        }
        await broker.stop()
    }

    @Test func `an unusable TLS configuration is found before any I/O`() async throws {
        let authority = TestTLS.authority
        let one = try authority.clientIdentity(commonName: "one")
        let other = try authority.clientIdentity(commonName: "other")
        let folder = try TemporaryDirectory()
        let empty = try folder.write("no certificate here\n", to: "empty.pem")
        let cases: [(MQTTTLSConfiguration, String)] = [
            (.init(trust: .file("/does/not/exist.pem")), "/does/not/exist.pem"),
            (.init(trust: .file(folder.path)), folder.path),
            (.init(trust: .file(empty)), "empty.pem"),
            (.init(trust: .pem("garbage")), "in memory"),
            (
                .init(
                    trust: .pem(authority.certificatePEM),
                    identity: .pem(certificate: one.certificatePEM, key: MQTTSecret(other.privateKeyPEM))), "key"
            ),
            (
                .init(
                    trust: .pem(authority.certificatePEM),
                    identity: .files(certificate: "/does/not/exist.crt", key: "/does/not/exist.key")),
                "/does/not/exist.crt"
            ),
        ]
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        for (tls, named) in cases {
            let client = MQTTClient(testConfiguration(port: broker.port, tls: tls), logger: quiet)
            let error = await #expect(throws: MQTTError.self) { try await client.run() }
            #expect(error?.code == .tlsConfiguration)
            #expect(error?.message.contains(named) == true, "\(error?.message ?? "")")
            #expect(error?.description.contains("PRIVATE KEY") == false)
        }
        #expect(broker.acceptedConnections == 0)
        await broker.stop()
    }
}
