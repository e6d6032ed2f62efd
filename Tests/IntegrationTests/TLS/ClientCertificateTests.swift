// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("The client's certificate")
    struct ClientCertificateTests {
        private static let strict = showing("server-ecdsa", "-CAfile root.pem -Verify 2 -verify_return_error")

        static let rows: [TLSRow] = [
            shown("client-rsa2048", .connects(), serverSays: "CN = client-rsa2048"),
            shown("client-ecdsa", .connects(), serverSays: "CN = client-ecdsa"),
            shown("client-ed25519", .connects(), serverSays: "CN = client-ed25519"),
            TLSRow("with its intermediate", server: strict, .connects(), serverSays: "CN = client-intermediate") {
                $0.identity = .files(
                    certificate: $1.path("client-intermediate.chain.pem"), key: $1.path("client-intermediate.key"))
            },
            shown("client-intermediate", .certificateRefused("unknown_ca")),
            shown("client-foreign", .certificateRefused("unknown_ca")),
            shown("client-expired", .certificateRefused("certificate_expired")),
            shown(
                "client-revoked", server: strict + " -CRL revoking.crl.pem -crl_check",
                .certificateRefused("certificate_revoked")),
            shown("server-ecdsa", .certificateRefused("unsupported_certificate")),
            TLSRow(
                "none", server: strict, .certificateRefused(v1_2: "handshake_failure", v1_3: "certificate_required")),
            TLSRow(
                "none, and the broker asks for one without need",
                server: showing("server-ecdsa", "-CAfile root.pem -verify 2"), .connects()),
            TLSRow("one, and the broker does not ask", server: showing("server-ecdsa"), .connects()) {
                $0.identity = .files(certificate: $1.path("client-ecdsa.pem"), key: $1.path("client-ecdsa.key"))
            },
        ]

        private static func shown(
            _ name: String, server: String = strict, _ expected: TLSExpectation,
            serverSays: String? = nil
        ) -> TLSRow {
            TLSRow(name, server: server, expected, serverSays: serverSays) {
                $0.identity = .files(certificate: $1.path("\(name).pem"), key: $1.path("\(name).key"))
            }
        }

        @Test(arguments: rows, [TLSVersion.v1_2, .v1_3])
        func `is judged by the broker`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }
    }
}
