// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    /// A man in the middle who has no certificate, and answers a permissive list of ciphers with an anonymous one.
    @Suite("A server without a certificate")
    struct AnonymousServerTests {
        private static let pin = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

        /// Each claims to stop him.
        static let modes: [(name: String, client: TLSRow.Client)] = [
            ("full", { tls, _ in tls.verification = .full }),
            ("without host name", { tls, _ in tls.verification = .withoutHostName }),
            ("none, with a pin", { tls, _ in (tls.verification, tls.pins) = (.none, [try MQTTTLSPublicKeyPin(pin)]) }),
            (
                "none, with a check",
                { tls, _ in
                    tls.verification = .none
                    tls.customVerification = { _ in Issue.record("nobody has shown a certificate") }
                }
            ),
            (
                "a pre-shared key",
                { tls, _ in
                    tls.preSharedKey = try .init(identity: "sensor", hexadecimalKey: "00112233445566778899aabbccddeeff")
                }
            ),
        ]

        @Test(arguments: modes.indices, ["ALL:@SECLEVEL=0", "HIGH:@SECLEVEL=0", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"])
        func `gets no CONNECT in TLS 1_2, whatever the list of ciphers`(mode: Int, ciphers: String) async throws {
            let (name, client) = Self.modes[mode]
            try await TLSRow(
                name, server: "-nocert -tls1_2 -cipher aNULL:@SECLEVEL=0", .alerted("handshake_failure")
            ) {
                try client(&$0, $1)
                $0.ciphers = ciphers
            }.check(.v1_2)
        }

        @Test(arguments: modes.indices)
        func `gets no CONNECT in TLS 1_3`(mode: Int) async throws {
            let (name, client) = Self.modes[mode]
            try await TLSRow(name, server: "-nocert -tls1_3", .alerted("protocol_version"), client: client)
                .check(.v1_3)
        }
    }
}
