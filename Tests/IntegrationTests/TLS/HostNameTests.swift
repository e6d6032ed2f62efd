// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("The name that a broker's certificate is for")
    struct HostNameTests {
        static let rows: [TLSRow] = [
            TLSRow("a DNS name", server: showing("server-ecdsa"), .connects()),
            TLSRow(
                "another name", server: showing("server-other"), .refused(62, "server-other", sends: "bad_certificate")),
            TLSRow("another name, which serverName says", server: showing("server-other"), .connects()) {
                tls, _ in
                tls.serverName = "other.example.test"
            },
            TLSRow("an IPv4 address", server: showing("server-address"), host: "127.0.0.1", .connects()),
            TLSRow("an IPv6 address", server: showing("server-address"), .connects()) { tls, _ in
                tls.serverName = "::1"
            },
            TLSRow(
                "a DNS name, and an address is wanted", server: showing("server-ecdsa"), host: "127.0.0.1",
                .refused(64, "server-ecdsa", sends: "bad_certificate")),
            TLSRow(
                "an address, and a name is wanted", server: showing("server-address"),
                .refused(62, "server-address", sends: "bad_certificate")),
            TLSRow("a wildcard", server: showing("server-wildcard"), .connects()) { tls, _ in
                tls.serverName = "broker.example.test"
            },
            TLSRow(
                "a wildcard, which stands for one label", server: showing("server-wildcard"),
                .refused(62, "server-wildcard", sends: "bad_certificate")
            ) { tls, _ in tls.serverName = "broker.north.example.test" },
            TLSRow(
                "a wildcard, which does not stand for none", server: showing("server-wildcard"),
                .refused(62, "server-wildcard", sends: "bad_certificate")
            ) { tls, _ in tls.serverName = "example.test" },
            TLSRow(
                "a wildcard for a part of a label", server: showing("server-partial-wildcard"),
                .refused(62, "server-partial-wildcard", sends: "bad_certificate")
            ) { tls, _ in tls.serverName = "broker.example.test" },
            // RFC 9525, section 6.3.
            TLSRow(
                "in the common name alone", server: showing("localhost"),
                .refused(62, "localhost", sends: "bad_certificate")),
            TLSRow("in the common name alone, which is accepted", server: showing("localhost"), .connects()) {
                tls, _ in
                tls.acceptsCommonName = true
            },
            TLSRow(
                "in the common name, and another as alternative name", server: showing("server-other"),
                .refused(62, "server-other", sends: "bad_certificate")
            ) { tls, _ in
                tls.serverName = "server-other"
                tls.acceptsCommonName = true
            },
            TLSRow("another name, and no name is checked", server: showing("server-other"), .connects()) {
                tls, _ in
                tls.verification = .withoutHostName
            },
            TLSRow(
                "no name is checked, all else is", server: showing("server-expired"),
                .refused(10, "server-expired", sends: "certificate_expired")
            ) { tls, _ in tls.verification = .withoutHostName },
        ]

        @Test(arguments: rows, [TLSVersion.v1_2, .v1_3])
        func `is compared with the name that is wanted`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        /// The server has another certificate for the name "broker.example.test", and refuses names that it does not know.
        static let indicated = showing(
            "server-ecdsa",
            "-servername broker.example.test -cert2 server-wildcard.pem -key2 server-wildcard.key -servername_fatal")

        static let indications: [TLSRow] = [
            TLSRow(
                "the name that is verified", server: indicated, .connects(),
                serverSays: #"Hostname in TLS extension: "broker.example.test""#
            ) { tls, _ in tls.serverName = "broker.example.test" },
            TLSRow("a name of its own", server: indicated, .connects()) { tls, _ in
                tls.serverNameIndication = .name("broker.example.test")
                tls.verification = .withoutHostName
                tls.pins = []
            },
            TLSRow("a name that the broker does not know", server: indicated, .alerted("unrecognized_name")),
            TLSRow("none", server: indicated, .connects()) { tls, _ in tls.serverNameIndication = .none },
            TLSRow(
                "none with an address", server: indicated, host: "127.0.0.1",
                .refused(64, "server-ecdsa", sends: "bad_certificate")),
        ]

        @Test(arguments: indications, [TLSVersion.v1_2, .v1_3])
        func `is told to the broker`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }
    }
}
