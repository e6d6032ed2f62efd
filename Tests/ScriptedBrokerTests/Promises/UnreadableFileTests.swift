// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A FIFO in the place of a file blocks each open(2), like a file system that does not answer.
@Suite("A file that cannot be read (core 16, security 12)", .turn(.scripted), .timeLimit(.minutes(1)))
struct UnreadableFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func replaceWithFIFO(_ name: String) {
        let path = folder.path + "/" + name
        unlink(path)
        #expect(mkfifo(path, 0o600) == 0)
    }

    /// Returns the errors of failed attempts after a loss, until the file is restored; the client must then reconnect.
    private func failures(
        _ configuration: MQTTClientConfiguration, _ broker: ScriptedBroker, file: String, content: String
    ) async throws -> [MQTTError] {
        try folder.write(content, to: file)
        let errors = try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            replaceWithFIFO(file)
            broker.resetAll()
            // More of them than a small machine has threads.
            #expect(await log.wait { $0.failures.count >= 5 })
            let failures = await log.failures.map(\.error)
            unlink(folder.path + "/" + file)
            try folder.write(content, to: file)
            #expect(await log.wait { $0.connections.count == 2 })
            return failures
        }
        await broker.stop()
        return errors
    }

    private func quick(_ configuration: MQTTClientConfiguration) -> MQTTClientConfiguration {
        var configuration = configuration
        configuration.retry.baseDelay = .milliseconds(20)
        configuration.retry.maximumDelay = .milliseconds(40)
        configuration.retry.minimumAuthenticationDelay = .milliseconds(10)
        return configuration
    }

    @Test func `of certificate authorities fails the attempt, and is read again when it is repaired`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = quick(testConfiguration(port: broker.port))
        configuration.tls?.trust = .file(folder.path + "/ca.pem")
        let errors = try await failures(
            configuration, broker, file: "ca.pem", content: TestTLS.authority.certificatePEM)
        for error in errors {
            #expect(error.code == .tlsConfiguration)
            #expect(error.message.contains("ca.pem\" is not a regular file"), "\(error.message)")
        }
    }

    @Test func `of a key fails the attempt, and is read again when it is repaired`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        let identity = try TestTLS.authority.clientIdentity(commonName: "dev1")
        let certificate = try folder.write(identity.certificatePEM, to: "client.pem")
        var configuration = quick(testConfiguration(port: broker.port))
        configuration.tls?.identity = .files(certificate: certificate, key: folder.path + "/client.key")
        let errors = try await failures(
            configuration, broker, file: "client.key", content: identity.privateKeyPEM)
        for error in errors {
            #expect(error.code == .tlsConfiguration)
            #expect(error.message.contains("client.key\" is not a regular file"), "\(error.message)")
        }
    }

    @Test func `of a token fails the attempt, and is read again when it is repaired`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = quick(testConfiguration(port: broker.port, tls: nil))
        configuration.credentials = .file(folder.path + "/token")
        let errors = try await failures(configuration, broker, file: "token", content: "t0ken\n")
        for error in errors {
            #expect(error.code == .credentials)
            #expect(error.message.contains("token\" is not a regular file"), "\(error.message)")
        }
    }

    @Test func `of certificate authorities at the start ends the client, which says so`() async throws {
        replaceWithFIFO("ca.pem")
        var configuration = testConfiguration(port: try freePort())
        configuration.tls?.trust = .file(folder.path + "/ca.pem")
        let (error, _) = try await runUntilStopped(configuration)
        #expect(error?.code == .tlsConfiguration)
        #expect(error?.message.contains("is not a regular file") == true)
    }
}
