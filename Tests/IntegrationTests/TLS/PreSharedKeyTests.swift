// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("A pre-shared key")
    struct PreSharedKeyTests {
        private static let key = "0123456789abcdef0123456789abcdef"
        private static let server = "-nocert -psk_identity sensor -psk \(key)"

        static let rows: [TLSRow] = [
            row(
                "that both sides know", server: server,
                .connects("ECDHE-PSK-CHACHA20-POLY1305", suite: "TLS_CHACHA20_POLY1305_SHA256")),
            row(
                "with a cipher of ours", server: server, ciphers: "PSK-AES128-GCM-SHA256",
                .connects("PSK-AES128-GCM-SHA256", suite: "TLS_CHACHA20_POLY1305_SHA256")),
            // In TLS 1.2 the broker cannot decrypt the client's Finished; in TLS 1.3 the ClientHello has a proof.
            row(
                "that is another one", server: server, key: "00112233445566778899aabbccddeeff",
                .alerted(
                    v1_2: "bad_record_mac",
                    v1_3: OpenSSLVersion.isAtLeast(3, 5) ? "decrypt_error" : "illegal_parameter")),
            row(
                "and a broker that has a certificate", server: showing("server-ecdsa"),
                TLSExpectation(
                    v1_2: TLSExpectation.alerted("handshake_failure").v1_2,
                    v1_3: TLSExpectation.refused(20, "server-ecdsa", sends: "unknown_ca").v1_3)),
        ]

        /// In TLS 1.2, `openssl s_server` accepts any identity.
        static let unknown = row(
            "of an identity that the broker does not know", server: server, identity: "nobody",
            .alerted("handshake_failure"))

        private static func row(
            _ name: String, server: String, identity: String = "sensor", key: String = key, ciphers: String? = nil,
            _ expected: TLSExpectation
        ) -> TLSRow {
            TLSRow(name, server: server, expected) { tls, _ in
                tls.preSharedKey = try .init(identity: identity, hexadecimalKey: key)
                tls.ciphers = ciphers
            }
        }

        @Test(arguments: rows, [TLSVersion.v1_2, .v1_3])
        func `takes the place of certificates`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        @Test func `has an identity that the broker has to know`() async throws {
            try await Self.unknown.check(.v1_3)
        }

        @Test func `is not what a broker with certificates wants`() async throws {
            try await TLSRow("certificates", server: Self.server, .alerted("handshake_failure")).check(.v1_3)
        }
    }
}
