// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("mosquitto")
    struct MosquittoMatrixTests {
        static let versions: [MosquittoRow] =
            ["rsa2048", "ecdsa", "ed25519"].flatMap { algorithm in
                [TLSVersion.v1_2, .v1_3].map { version in
                    MosquittoRow(
                        algorithm, broker: "certfile $/server-\(algorithm).pem\nkeyfile $/server-\(algorithm).key",
                        version,
                        .connects("ECDHE-\(algorithm == "rsa2048" ? "RSA" : "ECDSA")-AES256-GCM-SHA384"))
                }
            } + [
                MosquittoRow(
                    "tls_version tlsv1.3", broker: MosquittoRow.ecdsa + "tls_version tlsv1.3", .v1_2,
                    .alerted("protocol_version")),
                // This version is the oldest that mosquitto accepts.
                MosquittoRow(
                    "tls_version tlsv1.2", broker: MosquittoRow.ecdsa + "tls_version tlsv1.2", .v1_2, .connects()),
                MosquittoRow(
                    "tls_version tlsv1.2", broker: MosquittoRow.ecdsa + "tls_version tlsv1.2", .v1_3, .connects()),
                MosquittoRow(
                    "ciphers", broker: MosquittoRow.ecdsa + "ciphers ECDHE-ECDSA-AES128-GCM-SHA256", .v1_2,
                    .connects("ECDHE-ECDSA-AES128-GCM-SHA256")),
                MosquittoRow(
                    "no cipher in common", broker: MosquittoRow.ecdsa + "ciphers ECDHE-ECDSA-AES128-GCM-SHA256", .v1_2,
                    .alerted("handshake_failure")
                ) { tls, _ in tls.ciphers = "ECDHE+CHACHA20" },
                MosquittoRow(
                    "no cipher suite in common", broker: MosquittoRow.ecdsa + "ciphers_tls1.3 TLS_AES_128_GCM_SHA256",
                    .v1_3,
                    .alerted("handshake_failure")
                ) { tls, _ in
                    tls.minimumVersion = .v1_3
                    tls.cipherSuites = "TLS_CHACHA20_POLY1305_SHA256"
                },
                // mosquitto ignores the application protocol.
                MosquittoRow("application protocols", broker: MosquittoRow.ecdsa, .v1_3, .connects()) { tls, _ in
                    tls.applicationProtocols = ["mqtt"]
                },
                MosquittoRow(
                    "expired", broker: "certfile $/server-expired.pem\nkeyfile $/server-expired.key", .v1_3,
                    .refused(10, "server-expired", sends: "certificate_expired"),
                    brokerSays: "alert certificate expired"),
                MosquittoRow(
                    "with an intermediate",
                    broker: "certfile $/server-intermediate.chain.pem\nkeyfile $/server-intermediate.key", .v1_3,
                    .connects()),
            ]

        static let clients: [MosquittoRow] = [TLSVersion.v1_2, .v1_3].flatMap { version in
            [
                shown("client-rsa2048", version, .connects(), brokerSays: "u'client-rsa2048'"),
                shown("client-ecdsa", version, .connects(), brokerSays: "u'client-ecdsa'"),
                shown("client-ed25519", version, .connects(), brokerSays: "u'client-ed25519'"),
                shown("client-foreign", version, .certificateRefused("unknown_ca")),
                shown("client-expired", version, .certificateRefused("certificate_expired")),
                shown("client-intermediate", version, .certificateRefused("unknown_ca")),
                shown(
                    "client-revoked", version, more: "crlfile $/revoking.crl.pem",
                    .certificateRefused("certificate_revoked")),
                MosquittoRow(
                    "none", broker: MosquittoRow.strict, version,
                    .certificateRefused(v1_2: "handshake_failure", v1_3: "certificate_required")),
            ]
        }

        static let keys: [MosquittoRow] = [
            shared("a key", .v1_2, .connects("DHE-PSK-AES256-GCM-SHA384"), brokerSays: "u'sensor'"),
            shared(
                "a key", .v1_3, .connects(suite: "TLS_CHACHA20_POLY1305_SHA256"), brokerSays: "u'sensor'",
                after2_0_11: .connects("DHE-PSK-AES256-GCM-SHA384")),
            shared("another key", .v1_2, key: "00112233445566778899aabbccddeeff", .alerted("bad_record_mac")),
            shared(
                "another key", .v1_3, key: "00112233445566778899aabbccddeeff",
                .alerted("illegal_parameter"),
                after2_0_11: .alerted("bad_record_mac")),
            shared("an unknown identity", .v1_2, identity: "nobody", .alerted("unknown_psk_identity")),
            shared(
                "an unknown identity", .v1_3, identity: "nobody", .alerted("handshake_failure"),
                after2_0_11: .alerted("unknown_psk_identity")),
            MosquittoRow("a certificate is wanted", broker: MosquittoRow.keyed, .v1_2, .alerted("handshake_failure")),
        ]

        private static func shown(
            _ name: String, _ version: TLSVersion, more: String = "", _ expected: TLSExpectation,
            brokerSays: String? = nil
        ) -> MosquittoRow {
            MosquittoRow(name, broker: MosquittoRow.strict + more, version, expected, brokerSays: brokerSays) {
                $0.identity = .files(certificate: $1.path("\(name).pem"), key: $1.path("\(name).key"))
            }
        }

        private static func shared(
            _ name: String, _ version: TLSVersion, identity: String = "sensor",
            key: String = "0123456789abcdef0123456789abcdef",
            _ expected: TLSExpectation, brokerSays: String? = nil, after2_0_11 newer: TLSExpectation? = nil
        ) -> MosquittoRow {
            var row = MosquittoRow(name, broker: MosquittoRow.keyed, version, expected, brokerSays: brokerSays) {
                tls, _ in
                tls.preSharedKey = try .init(identity: identity, hexadecimalKey: key)
            }
            // mosquitto 2.0.21 and 2.1, with OpenSSL 3.5 and 3.6, have pre-shared keys with TLS 1.2 only.
            row.outcomeAfter2_0_11 = newer?.v1_2
            return row
        }

        @Test(arguments: versions, [MQTTVersion.v3_1_1, .v5_0])
        func `has a certificate, and agrees on versions and ciphers or not`(row: MosquittoRow, mqtt: MQTTVersion)
            async throws
        {
            try await row.check(mqtt)
        }

        @Test(arguments: clients, [MQTTVersion.v3_1_1, .v5_0])
        func `judges the client's certificate`(row: MosquittoRow, mqtt: MQTTVersion) async throws {
            try await row.check(mqtt)
        }

        @Test(arguments: keys, [MQTTVersion.v3_1_1, .v5_0])
        func `knows pre-shared keys`(row: MosquittoRow, mqtt: MQTTVersion) async throws {
            try await row.check(mqtt)
        }
    }
}
