// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("The authorities that are trusted")
    struct TrustSourceTests {
        private typealias Trust = MQTTTLSConfiguration.Trust
        private struct Unavailable: Error {}

        static let good: [TLSRow] = [
            trusting("a file in PEM") { .file($0.path("root.pem")) },
            trusting("a file in DER") { .file($0.path("root.cer")) },
            trusting("PEM in memory") { .pem(try $0.text("root.pem")) },
            trusting("several in one text") { .pem(try $0.text("foreign-root.pem") + $0.text("root.pem")) },
            trusting("DER in memory") { .der(try $0.bytes("root.cer")) },
            trusting("a directory") { .directory($0.path("hashed")) },
            trusting("several sources") { [.file($0.path("foreign-root.pem")), .directory($0.path("hashed"))] },
            trusting("the system's and one more") { [.system, .file($0.path("root.pem"))] },
            trusting("a provider") { certificates in .provider { .file(certificates.path("root.pem")) } },
            // X509_V_FLAG_PARTIAL_CHAIN is not set: trust ends at a root, and a self-signed certificate is one.
            TLSRow("the broker's own certificate", server: showing("server-self-signed"), .connects()) {
                $0.trust = .file($1.path("server-self-signed.pem"))
            },
        ]

        static let bad: [TLSRow] = [
            distrusting("another authority") { .file($0.path("foreign-root.pem")) },
            distrusting("the system's alone") { _ in .system },
            distrusting("a directory without hashed names") { .directory($0.path("root")) },
            TLSRow(
                "an intermediate without its root", server: showing("server-intermediate"),
                .refused(2, at: 1, "intermediate", sends: "unknown_ca")
            ) { $0.trust = .file($1.path("intermediate.pem")) },
            unusable(
                "a file that is not there",
                #"certificate authority file "missing.pem" cannot be opened: No such file or directory"#
            ) { .file($0.path("missing.pem")) },
            unusable(
                "a directory that is not there",
                #"certificate authority directory "missing" cannot be opened: No such file or directory"#
            ) { .directory($0.path("missing")) },
            unusable(
                "a directory for a file", #"certificate authority file "hashed" cannot be read; is it a directory?"#
            ) { .file($0.path("hashed")) },
            unusable(
                "a key for a certificate",
                #"certificate authority file "root.key": no certificate in PEM or DER form was found"#
            ) { .file($0.path("root.key")) },
            unusable(
                "a damaged certificate",
                "the certificate authorities in memory: a certificate cannot be read: bad end line"
            ) { .pem(String(try $0.text("root.pem").dropLast(10))) },
            TLSRow(
                "a provider that fails", server: showing("server-ecdsa"),
                .fails(.credentials, in: .credentials)
            ) { tls, _ in tls.trust = .provider { throw Unavailable() } },
        ]

        private static func trusting(
            _ name: String, _ trust: @escaping @Sendable (Certificates) throws -> Trust
        ) -> TLSRow {
            TLSRow(name, server: showing("server-ecdsa"), .connects()) { $0.trust = try trust($1) }
        }

        private static func distrusting(
            _ name: String, _ trust: @escaping @Sendable (Certificates) throws -> Trust
        ) -> TLSRow {
            TLSRow(name, server: showing("server-ecdsa"), .refused(20, "server-ecdsa", sends: "unknown_ca")) {
                $0.trust = try trust($1)
            }
        }

        private static func unusable(
            _ name: String, _ message: String, _ trust: @escaping @Sendable (Certificates) throws -> Trust
        ) -> TLSRow {
            TLSRow(name, server: showing("server-ecdsa"), .misconfigured(message)) { $0.trust = try trust($1) }
        }

        @Test(arguments: good) func `are found`(row: TLSRow) async throws {
            try await row.check(.v1_3)
        }

        @Test(arguments: bad) func `are not the broker's, or cannot be read`(row: TLSRow) async throws {
            try await row.check(.v1_3)
        }
    }
}
