// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    /// A resumed session skips the verification of certificates, so the client must discard its sessions as well.
    @Suite("Trust and revocation lists that are replaced on disk", .timeLimit(.minutes(1)))
    struct ReplacedTrustTests {
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `an authority that is no more trusted is refused at the next connection`(version: TLSVersion) async throws
        {
            let replaced = try ReplacedFile("root.pem", by: "foreign-root.pem")
            let error = try await replaced.nextFailure(version, server: showing("server-ecdsa")) {
                $0.trust = .file(replaced.path)
            }
            #expect(error.tls?.verification?.code == 20)
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `a certificate that was revoked is refused at the next connection`(version: TLSVersion) async throws {
            let replaced = try ReplacedFile("root.crl.pem", by: "revoking.crl.pem")
            let error = try await replaced.nextFailure(version, server: showing("server-revoked")) {
                $0.revocation = .init(.file(replaced.path))
            }
            #expect(error.tls?.verification?.code == 23)
        }

        @Test func `an authority that comes into a directory is trusted at the next attempt`() async throws {
            let certificates = try Certificates.current
            let server = try await OpenSSLServer.start(showing("server-ecdsa"), certificates)
            defer { server.stop() }
            let directory = try TemporaryDirectory()
            var configuration = MQTTClientConfiguration(
                host: "localhost", port: server.port, tls: .init(trust: .directory(directory.path)))
            configuration.retry.baseDelay = .seconds(60)
            try await withRunningClient(configuration) { client, events in
                let failure = await events.first { if case .attemptFailed = $0.kind { true } else { false } }
                guard case .attemptFailed(let failed)? = failure?.kind else {
                    Issue.record("no failure")
                    return
                }
                #expect(failed.error.tls?.verification?.code == 20)
                for name in try FileManager.default.contentsOfDirectory(atPath: certificates.path("hashed")) {
                    try directory.write(try certificates.text("hashed/\(name)"), to: name)
                }
                await client.reconnectNow()
                try await client.waitUntilConnected(timeout: .seconds(30))
            }
        }
    }
}

/// A file whose content changes after the first connection.
private struct ReplacedFile: Sendable {
    private let certificates: Certificates
    private let directory: TemporaryDirectory
    private let replacement: String

    var path: String { directory.path + "/file" }

    init(_ name: String, by replacement: String) throws {
        certificates = try Certificates.current
        directory = try TemporaryDirectory()
        self.replacement = replacement
        try directory.write(try certificates.text(name), to: "file")
    }

    /// Connects, replaces the file, lets the server end the connection, and returns the failure of the next attempt.
    func nextFailure(
        _ version: TLSVersion, server: String, client: (inout MQTTTLSConfiguration) -> Void
    ) async throws -> MQTTError {
        let server = try await OpenSSLServer.start(server, certificates)
        defer { server.stop() }
        var tls = MQTTTLSConfiguration(trust: .file(certificates.path("root.pem")))
        tls.minimumVersion = version
        tls.maximumVersion = version
        client(&tls)
        var configuration = MQTTClientConfiguration(host: "localhost", port: server.port, tls: tls)
        configuration.retry.baseDelay = .milliseconds(10)
        configuration.retry.minimumDelay = .milliseconds(1)
        return try await withRunningClient(configuration) { _, events in
            var isReplaced = false
            for await event in events {
                switch event.kind {
                case .connected where !isReplaced:
                    isReplaced = true
                    try directory.write(try certificates.text(replacement), to: "file")
                    server.command("q")
                case .connected(let info):
                    Issue.record("connected again, resumed: \(String(describing: info.tls?.resumed))")
                    throw CancellationError()
                case .attemptFailed(let failed): return failed.error
                default: break
                }
            }
            throw CancellationError()
        }
    }
}
