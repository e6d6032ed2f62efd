// SPDX-License-Identifier: Apache-2.0

import Testing

extension TLSTests {
    @Suite("The broker's certificate")
    struct ServerCertificateTests {
        static let good: [TLSRow] = [
            TLSRow("RSA", server: showing("server-rsa2048"), .connects("ECDHE-RSA-AES256-GCM-SHA384")),
            TLSRow("ECDSA", server: showing("server-ecdsa"), .connects()),
            TLSRow("Ed25519", server: showing("server-ed25519"), .connects()),
            TLSRow(
                "issued by an intermediate, which is sent",
                server: showing("server-intermediate", "-cert_chain intermediate.pem"), .connects()),
            TLSRow(
                "issued by an intermediate, which is trusted", server: showing("server-intermediate"),
                .connects()
            ) {
                $0.trust = [.file($1.path("root.pem")), .file($1.path("intermediate.pem"))]
            },
        ]

        /// The same certificate in another handshake.
        static let handshakes: [TLSRow] = [
            TLSRow(
                "a chain of more than a record",
                server: showing("server-intermediate", "-cert_chain long.pem"), .connects()),
            TLSRow("records of 512 bytes", server: showing("server-ecdsa", "-max_send_frag 512"), .connects()),
            TLSRow(
                "no change_cipher_spec for the sake of middleboxes", server: showing("server-ecdsa", "-no_middlebox"),
                .connects()),
            TLSRow("a server that reads ahead", server: showing("server-ecdsa", "-read_buf 65536"), .connects()),
        ]

        static let bad: [TLSRow] = [
            TLSRow(
                "expired", server: showing("server-expired"),
                .refused(10, "server-expired", sends: "certificate_expired")),
            TLSRow(
                "not yet valid", server: showing("server-not-yet"),
                .refused(9, "server-not-yet", sends: "bad_certificate")),
            TLSRow(
                "of an unknown authority", server: showing("server-foreign"),
                .refused(20, "server-foreign", sends: "unknown_ca")),
            TLSRow(
                "of an unknown authority, which is sent",
                server: showing("server-foreign", "-cert_chain foreign-root.pem"),
                .refused(19, at: 1, "foreign root", sends: "unknown_ca")),
            TLSRow(
                "self-signed", server: showing("server-self-signed"),
                .refused(18, "server-self-signed", sends: "unknown_ca")),
            TLSRow(
                "intermediate missing", server: showing("server-intermediate"),
                .refused(20, "server-intermediate", sends: "unknown_ca")),
            TLSRow(
                "intermediate expired",
                server: showing("server-expired-intermediate", "-cert_chain expired-intermediate.pem"),
                .refused(10, at: 1, "expired-intermediate", sends: "certificate_expired")),
            TLSRow(
                "for clients, not servers", server: showing("server-for-clients"),
                .refused(26, "server-for-clients", sends: "unsupported_certificate")),
            TLSRow(
                "with a key that is too small", server: showing("server-weak", "-cipher DEFAULT:@SECLEVEL=0"),
                .refused(66, "server-weak", sends: "bad_certificate")),
        ]

        @Test(arguments: good + handshakes, [TLSVersion.v1_2, .v1_3])
        func `is accepted`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        @Test(arguments: bad, [TLSVersion.v1_2, .v1_3])
        func `is refused, and the broker is told`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }
    }
}
