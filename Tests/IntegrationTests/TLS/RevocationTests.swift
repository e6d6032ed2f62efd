// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("Revocation")
    struct RevocationTests {
        private typealias Revocation = MQTTTLSConfiguration.Revocation

        static let lists: [TLSRow] = [
            TLSRow("not on the list", server: showing("server-ecdsa"), .connects()) {
                $0.revocation = Revocation(.file($1.path("root.crl.pem")))
            },
            TLSRow("not on the list, in DER", server: showing("server-ecdsa"), .connects()) {
                $0.revocation = Revocation(.der(try $1.bytes("root.crl.der")))
            },
            TLSRow("not on the list, in a file in DER", server: showing("server-ecdsa"), .connects()) {
                $0.revocation = Revocation(.file($1.path("root.crl.der")))
            },
            TLSRow("others are on the list", server: showing("server-ecdsa"), .connects()) {
                $0.revocation = Revocation(.pem(try $1.text("revoking.crl.pem")))
            },
            TLSRow(
                "on the list", server: showing("server-revoked"),
                .refused(23, "server-revoked", sends: "certificate_revoked")
            ) { $0.revocation = Revocation(.file($1.path("revoking.crl.pem"))) },
            TLSRow("on a list that is not looked at", server: showing("server-revoked"), .connects()),
            TLSRow(
                "the list has expired", server: showing("server-ecdsa"),
                .refused(12, "server-ecdsa", sends: "certificate_expired")
            ) { $0.revocation = Revocation(.file($1.path("expired.crl.pem"))) },
            TLSRow(
                "no list of the issuer", server: showing("server-ecdsa"),
                .refused(3, "server-ecdsa", sends: "unknown_ca")
            ) { $0.revocation = Revocation(.file($1.path("intermediate.crl.pem"))) },
            TLSRow("the whole chain", server: intermediate, .connects()) {
                let lists = try $1.text("root.crl.pem") + $1.text("intermediate.crl.pem")
                $0.revocation = Revocation(.pem(lists), scope: .chain)
            },
            TLSRow(
                "the whole chain, and no list of the root", server: intermediate,
                .refused(3, at: 1, "intermediate", sends: "unknown_ca")
            ) { $0.revocation = Revocation(.file($1.path("intermediate.crl.pem")), scope: .chain) },
            TLSRow(
                "the whole chain, and its intermediate is on the list", server: intermediate,
                .refused(23, at: 1, "intermediate", sends: "certificate_revoked")
            ) {
                $0.revocation = Revocation(
                    .file($1.path("revoking.crl.pem")), .file($1.path("intermediate.crl.pem")), scope: .chain)
            },
            TLSRow("the broker alone, and the intermediate is on the list", server: intermediate, .connects()) {
                $0.revocation = Revocation(
                    .file($1.path("revoking.crl.pem")), .file($1.path("intermediate.crl.pem")))
            },
            TLSRow(
                "a list of nothing", server: showing("server-ecdsa"),
                .misconfigured(#"certificate revocation list "root.pem": no list in PEM or DER form was found"#)
            ) {
                $0.revocation = Revocation(.file($1.path("root.pem")))
            },
        ]

        private static let intermediate = showing("server-intermediate", "-cert_chain intermediate.pem")

        @Test(arguments: lists, [TLSVersion.v1_2, .v1_3])
        func `is found by a list`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        static let staples: [TLSRow] = [
            stapled("good", .connects()),
            stapled("by-authority", .connects()),
            stapled("revoked", server: "server-revoked", refused(23, "server-revoked")),
            stapled("expired", refused(74)),
            // Responses without nextUpdate: one of today, and an old one that somebody has kept.
            stapled("ageless", .connects()),
            stapled("kept", refused(74)),
            stapled("foreign", refused(74)),
            stapled("try-later", refused(74)),
            stapled("unknown", refused(75)),
            // From OpenSSL 3.6 on, s_server keeps a response of another certificate to itself.
            stapled("other", refused(OpenSSLVersion.isAtLeast(3, 6) ? 73 : 75)),
            TLSRow("none", server: showing("server-ecdsa"), refused(73)) { tls, _ in tls.requiresOCSPStaple = true },
            TLSRow("none, and none is required", server: showing("server-ecdsa"), .connects()),
            TLSRow("revoked, and none is required", server: revoked, .connects()),
            // A fault of the certificate itself is reported first.
            TLSRow(
                "good, of an expired certificate", server: showing("server-expired", "-status_file good.ocsp"),
                .refused(10, "server-expired", sends: "certificate_expired")
            ) { tls, _ in tls.requiresOCSPStaple = true },
        ]

        private static let revoked = showing("server-revoked", "-status_file revoked.ocsp")

        private static func stapled(
            _ response: String, server: String = "server-ecdsa",
            _ expected: TLSExpectation
        ) -> TLSRow {
            TLSRow(response, server: showing(server, "-status_file \(response).ocsp"), expected) { tls, _ in
                tls.requiresOCSPStaple = true
            }
        }

        private static func refused(
            _ error: Int32, _ name: String = "server-ecdsa"
        ) -> TLSExpectation {
            .refused(error, name, sends: "bad_certificate_status_response")
        }

        @Test(arguments: staples, [TLSVersion.v1_2, .v1_3])
        func `is found by a stapled OCSP response`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }
    }
}
