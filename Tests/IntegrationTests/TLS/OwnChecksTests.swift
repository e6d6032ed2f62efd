// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Synchronization
import Testing

extension TLSTests {
    @Suite("Pins and checks of one's own")
    struct OwnChecksTests {
        private struct Objection: Error {}

        private static let chain = showing("server-intermediate", "-cert_chain intermediate.pem")
        private static let selfSigned = showing("server-self-signed")

        static let pins: [TLSRow] = [
            pinned("server-intermediate", server: chain, .connects()),
            pinned("intermediate", server: chain, .connects()),
            // It is not sent, and is in the chain that was verified.
            pinned("root", server: chain, .connects()),
            pinned("server-ecdsa", server: chain, refused("server-intermediate")),
            TLSRow("one of two", server: chain, .connects()) {
                $0.pins = [try pin("server-ecdsa", $1), try pin("intermediate", $1)]
            },
            TLSRow(
                "right, of a broker that fails another check", server: showing("server-expired"),
                .refused(10, "server-expired", sends: "certificate_expired")
            ) { $0.pins = [try pin("server-expired", $1)] },
            pinned("server-self-signed", server: selfSigned, verification: .none, .connects()),
            pinned("root", server: selfSigned, verification: .none, refused("server-self-signed")),
            // Nothing shows that the one has issued the other.
            pinned("intermediate", server: chain, verification: .none, refused("server-intermediate")),
        ]

        static let checks: [TLSRow] = [
            TLSRow("that agrees", server: chain, .connects()) { tls, _ in
                tls.customVerification = { peer in
                    #expect(peer.host == "localhost")
                    #expect(
                        peer.certificates.map(\.subject) == [
                            "CN=server-intermediate,O=swift-mosquitto", "CN=intermediate,O=swift-mosquitto",
                        ])
                    #expect(peer.certificates[0].issuer == "CN=intermediate,O=swift-mosquitto")
                    #expect(peer.certificates[0].subjectAlternativeNames == [.dns("localhost")])
                    // The root is not sent.
                    #expect(
                        peer.verifiedChain.map(\.subject)
                            == peer.certificates.map(\.subject) + ["CN=root,O=swift-mosquitto"])
                }
            },
            TLSRow("that takes its time", server: chain, .connects()) { tls, _ in
                tls.customVerification = { _ in try await Task.sleep(for: .milliseconds(200)) }
            },
            TLSRow("that objects", server: chain, refused("server-intermediate")) { tls, _ in
                tls.customVerification = { _ in throw Objection() }
            },
            TLSRow(
                "that is not asked after another one has failed", server: showing("server-expired"),
                .refused(10, "server-expired", sends: "certificate_expired")
            ) { tls, _ in tls.customVerification = { _ in Issue.record("asked") } },
            TLSRow("that is the only one", server: selfSigned, .connects()) { tls, _ in
                tls.verification = .none
                tls.customVerification = { peer in
                    #expect(peer.certificates.count == 1 && peer.verifiedChain.isEmpty)
                }
            },
            TLSRow("that is the only one, and objects", server: selfSigned, refused("server-self-signed")) { tls, _ in
                tls.verification = .none
                tls.customVerification = { _ in throw Objection() }
            },
            TLSRow("none at all", server: showing("server-expired"), .connects()) { tls, _ in
                tls.verification = .none
            },
        ]

        private static func pinned(
            _ pinned: String, server: String, verification: MQTTTLSConfiguration.Verification = .full,
            _ expected: TLSExpectation
        ) -> TLSRow {
            TLSRow("\(pinned), verification \(verification)", server: server, expected) {
                $0.verification = verification
                $0.pins = [try pin(pinned, $1)]
            }
        }

        private static func refused(_ name: String) -> TLSExpectation {
            .refused(50, name, sends: "handshake_failure")
        }

        @Test(arguments: pins, [TLSVersion.v1_2, .v1_3])
        func `a pin is looked for in what was verified`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        @Test(arguments: checks, [TLSVersion.v1_2, .v1_3])
        func `a check has the last word`(row: TLSRow, version: TLSVersion) async throws {
            try await row.check(version)
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `a check that does not end is ended by the deadline`(version: TLSVersion) async throws {
            let certificates = try Certificates.current
            let row = TLSRow("", server: Self.chain, .fails(.timeout, in: .tlsHandshake)) { tls, _ in
                tls.customVerification = { _ in try await Task.sleep(for: .seconds(600)) }
            }
            let server = try await OpenSSLServer.start(row.server, certificates)
            defer { server.stop() }
            var configuration = try row.configuration(version, port: server.port, certificates)
            configuration.timeouts.tlsHandshake = .milliseconds(300)
            #expect(await TLSOutcome.of(configuration, certificates) == row.expected[version])
        }
    }
}

/// The pin of a certificate's public key, as `openssl` has it.
private func pin(_ name: String, _ certificates: Certificates) throws -> MQTTTLSPublicKeyPin {
    try MQTTTLSPublicKeyPin(try certificates.text("\(name).pin").trimmingCharacters(in: .newlines))
}
