// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

/// Gives one answer after the other, and then repeats the last one.
private final class Answers: Sendable {
    private let answers: Mutex<[Result<MQTTTLSConfiguration.Identity, any Error>]>
    private let asked = Mutex(0)

    init(_ answers: [Result<MQTTTLSConfiguration.Identity, any Error>]) { self.answers = Mutex(answers) }

    var count: Int { asked.withLock { $0 } }

    func next() throws -> MQTTTLSConfiguration.Identity {
        asked.withLock { $0 += 1 }
        return try answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }.get()
    }
}

@Suite("A client certificate from a provider", .turn(.scripted))
struct IdentityProviderTests {
    private struct Broken: Error, CustomStringConvertible { var description: String { "the-secret-of-the-vault" } }

    private static func identity(_ name: String) throws -> MQTTTLSConfiguration.Identity {
        let identity = try TestTLS.authority.clientIdentity(commonName: name)
        return .pem(certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM))
    }

    private static func stranger() throws -> MQTTTLSConfiguration.Identity {
        let identity = try TestCertificateAuthority(commonName: "somebody else").clientIdentity(commonName: "dev1")
        return .pem(certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM))
    }

    private func withBroker(
        _ answers: Answers, _ body: (ScriptedBroker, MQTTClientConfiguration) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.identity = .provider { try answers.next() }
        try await body(broker, configuration)
        await broker.stop()
    }

    @Test func `is asked for before each attempt, and again at once when the broker refuses what it gave`() async throws
    {
        let answers = Answers([.success(try Self.stranger()), .success(try Self.identity("dev1"))])
        try await withBroker(answers) { _, configuration in
            try await withRunningClient(configuration) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(await log.wait { !$0.failures.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.tls?.kind == .clientCertificate, "\(failure.error)")
                #expect(failure.decision == .retryWithFreshCredentials)
                #expect(failure.retryIn == .zero)
                #expect(answers.count == 2)
            }
        }
    }

    @Test func `that fails is asked again, without a word of what it threw`() async throws {
        let answers = Answers([.failure(Broken()), .success(try Self.identity("dev1"))])
        try await withBroker(answers) { _, configuration in
            try await withRunningClient(configuration) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(await log.wait { !$0.failures.isEmpty })
                let error = try #require(await log.failures.first?.error)
                #expect(error.code == .credentials)
                #expect(error.underlying is Broken)
                #expect(!"\(error)".contains("the-secret-of-the-vault"))
                #expect(await log.wait { $0.failures.count == 1 })
            }
        }
    }

    @Test func `that fails for good ends the client`() async throws {
        let answers = Answers([.failure(MQTTCredentialError.permanent("the vault is gone"))])
        try await withBroker(answers) { broker, configuration in
            let error = await #expect(throws: MQTTError.self) {
                try await MQTTClient(configuration, logger: quiet).run()
            }
            #expect(error?.message == "the vault is gone")
            #expect(broker.acceptedConnections == 0)
        }
    }

    @Test func `is put in its place by rotateIdentity, and a bad one leaves the connection as it is`() async throws {
        let other = try TestTLS.authority.clientIdentity(commonName: "dev2")
        let mismatch = MQTTTLSConfiguration.Identity.pem(
            certificate: try TestTLS.authority.clientIdentity(commonName: "dev1").certificatePEM,
            key: MQTTSecret(other.privateKeyPEM))
        // Asked at the connection, at the rotation that fails, and twice at the one that does not: before it, and for it.
        let answers = Answers([
            .success(try Self.identity("dev1")), .success(mismatch), .success(try Self.identity("dev2")),
        ])
        try await withBroker(answers) { broker, configuration in
            try await withRunningClient(configuration) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                let error = await #expect(throws: MQTTError.self) { try await client.rotateIdentity() }
                #expect(error?.code == .tlsConfiguration)
                #expect(error?.tls?.kind == .configuration)
                #expect(broker.connects.count == 1)
                try await client.rotateIdentity()
                #expect(broker.connects.count == 2)
                #expect(broker.disconnects.count == 1)
                // A session of the old certificate is not resumed.
                guard case .connected(let info) = client.state else { return #expect(Bool(false), "not connected") }
                #expect(info.tls?.resumed == false)
                #expect(await log.wait { $0.rotations.count == 1 })
                #expect(await log.failures.isEmpty)
            }
        }
    }

    @Test func `cannot be rotated without a connection, or without TLS`() async throws {
        let client = MQTTClient(testConfiguration(port: try freePort()), logger: quiet)
        let notConnected = await #expect(throws: MQTTError.self) { try await client.rotateIdentity() }
        #expect(notConnected?.code == .closed)
        let plain = MQTTClient(testConfiguration(port: 1, tls: nil), logger: quiet)
        let noTLS = await #expect(throws: MQTTError.self) { try await plain.rotateIdentity() }
        #expect(noTLS?.code == .invalidConfiguration)
    }
}
