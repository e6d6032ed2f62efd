// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// The broker of the compressed day: one mosquitto that asks for client certificates, with two more ports that each
/// present a bad certificate.
struct DayBroker {
    let mosquitto: LocalMosquitto
    let authority: TestCertificateAuthority
    let stranger: TestCertificateAuthority
    /// Presents a certificate of an authority that no client trusts.
    let foreignPort: Int
    /// Presents a certificate that expired an hour ago.
    let expiredPort: Int
    private let folder: TemporaryDirectory

    /// mosquitto refuses any other user name.
    static let users = (0..<16).map { "device-\($0)" }
    static let password = "soak"

    init() async throws {
        authority = try TestCertificateAuthority()
        stranger = try TestCertificateAuthority()
        folder = try TemporaryDirectory()
        foreignPort = try freePort()
        expiredPort = try freePort()
        let expired = try authority.serverIdentity(
            notBefore: Date(timeIntervalSinceNow: -86_400), notAfter: Date(timeIntervalSinceNow: -3_600))
        let lines =
            [
                // A proxy's delayed acknowledgements would add 40 ms to each connection.
                "set_tcp_nodelay true", "persistence true", "persistence_location \(folder.path)/",
                // This process reads mosquitto's log at each start.
                "log_type none", "log_type information",
            ]
            + (try Self.listener(foreignPort, stranger.serverIdentity(), authority, "foreign", folder))
            + (try Self.listener(expiredPort, expired, authority, "expired", folder))
        mosquitto = try await LocalMosquitto.start(
            tls: authority.serverIdentity(), authority: authority.certificatePEM, requireClientCertificate: true,
            extraConfiguration: lines.joined(separator: "\n"),
            users: Dictionary(uniqueKeysWithValues: Self.users.map { ($0, Self.password) }))
    }

    private static func listener(
        _ port: Int, _ identity: TestIdentity, _ authority: TestCertificateAuthority, _ name: String,
        _ folder: TemporaryDirectory
    ) throws -> [String] {
        [
            "listener \(port) 127.0.0.1",
            "certfile \(try folder.write(identity.certificatePEM, to: name + ".pem"))",
            "keyfile \(try folder.write(identity.privateKeyPEM, to: name + ".key"))",
            "cafile \(try folder.write(authority.certificatePEM, to: "clients.pem"))", "require_certificate true",
        ]
    }
}
