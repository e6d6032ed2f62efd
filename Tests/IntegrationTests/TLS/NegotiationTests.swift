// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("Versions, ciphers, groups and application protocols")
    struct NegotiationTests {
        private static let ecdsa = showing("server-ecdsa")

        /// OpenSSL 3.5 gives no reason for a group that it does not have.
        private static let reason = OpenSSLVersion.isAtLeast(3, 5) ? "" : ": passed invalid argument"

        /// Rows of TLS 1.2.
        static let old: [TLSRow] = [
            TLSRow("a cipher of ours", server: ecdsa, .connects("ECDHE-ECDSA-CHACHA20-POLY1305")) { tls, _ in
                tls.ciphers = "ECDHE+CHACHA20"
            },
            TLSRow(
                "a cipher of the broker's", server: showing("server-ecdsa", "-cipher ECDHE-ECDSA-AES128-GCM-SHA256"),
                .connects("ECDHE-ECDSA-AES128-GCM-SHA256")),
            TLSRow(
                "no cipher in common", server: showing("server-ecdsa", "-cipher ECDHE-ECDSA-AES128-GCM-SHA256"),
                .alerted("handshake_failure")
            ) { tls, _ in tls.ciphers = "ECDHE+CHACHA20" },
            TLSRow(
                "no cipher for the broker's certificate", server: showing("server-rsa2048"),
                .alerted("handshake_failure")
            ) { tls, _ in tls.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" },
            TLSRow(
                "no cipher at all", server: ecdsa,
                .misconfigured(#"ciphers "ROT13": OpenSSL has none of them: no cipher match"#)
            ) { tls, _ in
                tls.ciphers = "ROT13"
            },
            TLSRow(
                "Diffie-Hellman in a finite field",
                server: showing("server-rsa2048", "-cipher DHE+AESGCM -dhparam modp_2048.pem"),
                .connects("DHE-RSA-AES256-GCM-SHA384")),
            TLSRow(
                "Diffie-Hellman in a field that is too small",
                server: showing("server-rsa2048", "-cipher DHE+AESGCM:@SECLEVEL=0 -dhparam modp_1536.pem"),
                .fails(
                    .tlsProtocol, in: .tlsHandshake, .protocolError, alert: "sent handshake_failure",
                    detail: "dh key too small")),
            TLSRow(
                "the broker has only TLS 1.1", server: showing("server-ecdsa", "-tls1_1 -cipher DEFAULT:@SECLEVEL=0"),
                .fails(
                    .tlsProtocol, in: .tlsHandshake, .protocolError, alert: "sent protocol_version",
                    detail: "unsupported protocol")),
            TLSRow(
                "the broker has only TLS 1.0", server: showing("server-ecdsa", "-tls1 -cipher DEFAULT:@SECLEVEL=0"),
                .fails(
                    .tlsProtocol, in: .tlsHandshake, .protocolError, alert: "sent protocol_version",
                    detail: "unsupported protocol")),
            TLSRow(
                "the broker has only TLS 1.3", server: showing("server-ecdsa", "-tls1_3"), .alerted("protocol_version")),
        ]

        /// Rows of TLS 1.3.
        static let new: [TLSRow] = [
            TLSRow("a cipher suite of ours", server: ecdsa, .connects(suite: "TLS_CHACHA20_POLY1305_SHA256")) {
                tls, _ in tls.cipherSuites = "TLS_CHACHA20_POLY1305_SHA256"
            },
            TLSRow(
                "a cipher suite of the broker's",
                server: showing("server-ecdsa", "-ciphersuites TLS_AES_128_GCM_SHA256"),
                .connects(suite: "TLS_AES_128_GCM_SHA256")),
            TLSRow(
                "no cipher suite in common", server: showing("server-ecdsa", "-ciphersuites TLS_AES_128_GCM_SHA256"),
                .alerted("handshake_failure")
            ) { tls, _ in tls.cipherSuites = "TLS_CHACHA20_POLY1305_SHA256" },
            TLSRow(
                "no such cipher suite", server: ecdsa,
                .misconfigured(#"cipherSuites "TLS_ROT13": OpenSSL does not have one of them: no cipher match"#)
            ) { tls, _ in
                tls.cipherSuites = "TLS_ROT13"
            },
            TLSRow(
                "the broker has only TLS 1.2", server: showing("server-ecdsa", "-tls1_2"),
                .alerted("protocol_version")),
        ]

        static let both: [TLSRow] = [
            TLSRow(
                "a group of ours", server: showing("server-rsa2048"), .connects("ECDHE-RSA-AES256-GCM-SHA384"),
                serverSays: "Shared groups: secp384r1\n"
            ) {
                tls, _ in tls.groups = "P-384"
            },
            // RFC 8446, section 4.1.4: the broker asks for another hello.
            TLSRow("a group of the broker's", server: showing("server-ecdsa", "-groups P-384"), .connects()),
            TLSRow(
                "no group in common", server: showing("server-ecdsa", "-groups P-384"), .alerted("handshake_failure")
            ) { tls, _ in tls.groups = "X25519:P-256" },
            TLSRow(
                "no such group", server: ecdsa,
                .misconfigured(#"groups "P-257": OpenSSL does not have one of them"# + reason)
            ) { tls, _ in tls.groups = "P-257" },
            TLSRow(
                "an application protocol", server: showing("server-ecdsa", "-alpn mqtt"),
                .connects(applicationProtocol: "mqtt")
            ) { tls, _ in tls.applicationProtocols = ["mqtt"] },
            TLSRow(
                "the broker's choice of application protocols",
                server: showing("server-ecdsa", "-alpn x-amzn-mqtt-ca,mqtt"),
                .connects(applicationProtocol: "x-amzn-mqtt-ca")
            ) { tls, _ in tls.applicationProtocols = ["mqtt", "x-amzn-mqtt-ca"] },
            TLSRow(
                "no application protocol in common", server: showing("server-ecdsa", "-alpn h2"),
                .alerted("no_application_protocol")
            ) { tls, _ in tls.applicationProtocols = ["mqtt"] },
            TLSRow("an application protocol, and the broker does not choose", server: ecdsa, .connects()) {
                tls, _ in tls.applicationProtocols = ["mqtt"]
            },
            TLSRow(
                "no application protocol, and the broker would choose", server: showing("server-ecdsa", "-alpn mqtt"),
                .connects()),
        ]

        @Test(arguments: old) func `are agreed on in TLS 1_2, or not`(row: TLSRow) async throws {
            try await row.check(.v1_2)
        }

        @Test(arguments: new) func `are agreed on in TLS 1_3, or not`(row: TLSRow) async throws {
            try await row.check(.v1_3)
        }

        @Test(arguments: both, [TLSVersion.v1_2, .v1_3])
        func `are agreed on, or not`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        @Test(arguments: [("-tls1_2", TLSVersion.v1_2), ("-tls1_3", .v1_3), ("", .v1_3)])
        func `are the newest that both sides have`(server: String, version: TLSVersion) async throws {
            let certificates = try Certificates.current
            let row = TLSRow("both", server: showing("server-ecdsa", server), .connects())
            var configuration = try row.configuration(version, port: 1, certificates)
            configuration.tls?.minimumVersion = .v1_2
            configuration.tls?.maximumVersion = nil
            let running = try await OpenSSLServer.start(row.server, certificates)
            defer { running.stop() }
            configuration.endpoints = [MQTTEndpoint(host: "localhost", port: running.port)]
            #expect(await TLSOutcome.of(configuration, certificates) == TLSExpectation.connects()[version])
        }
    }
}
