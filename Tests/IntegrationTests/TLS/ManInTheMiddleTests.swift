// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    /// All that somebody on the path can answer with, under each verification that claims to stop it.
    ///
    /// A session of yesterday is a row of `SessionResumptionTests` and of `TLS sessions`.
    @Suite("A man in the middle")
    struct ManInTheMiddleTests {
        enum Mode: CaseIterable, Sendable {
            case full, withoutHostName, permissiveCiphers, fullWithPin, pinAlone, revocationList, staple, preSharedKey

            func apply(_ tls: inout MQTTTLSConfiguration, _ certificates: Certificates) throws {
                switch self {
                case .full: break
                case .withoutHostName: tls.verification = .withoutHostName
                case .permissiveCiphers: tls.ciphers = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
                case .fullWithPin: tls.pins = [try Self.pin(certificates)]
                case .pinAlone: (tls.verification, tls.pins) = (.none, [try Self.pin(certificates)])
                case .revocationList: tls.revocation = .init(.file(certificates.path("revoking.crl.pem")))
                case .staple: tls.requiresOCSPStaple = true
                case .preSharedKey:
                    tls.preSharedKey = try .init(
                        identity: "sensor", hexadecimalKey: "00112233445566778899aabbccddeeff")
                }
            }

            /// The real broker's key.
            private static func pin(_ certificates: Certificates) throws -> MQTTTLSPublicKeyPin {
                try MQTTTLSPublicKeyPin(
                    try certificates.text("server-ecdsa.pin").trimmingCharacters(in: .newlines))
            }
        }

        struct Attack: Sendable, CustomTestStringConvertible {
            let name: String
            /// The arguments of `openssl s_server`.
            let server: String
            let stoppedBy: [Mode]
            var testDescription: String { name }

            init(_ name: String, _ server: String, stoppedBy: [Mode]) {
                (self.name, self.server, self.stoppedBy) = (name, server, stoppedBy)
            }
        }

        /// Modes that verify the chain.
        private static let chain: [Mode] = [
            .full, .withoutHostName, .permissiveCiphers, .fullWithPin, .revocationList, .staple,
        ]
        private static let all = Mode.allCases
        /// Modes that verify the name too.
        private static let names = chain.filter { $0 != .withoutHostName }
        /// Modes that leave the security level as it is.
        private static let strict = all.filter { $0 != .permissiveCiphers }

        static let attacks: [Attack] = [
            Attack("no certificate", "-nocert -cipher aNULL:@SECLEVEL=0", stoppedBy: all),
            Attack("a self-signed certificate", showing("server-self-signed"), stoppedBy: all),
            Attack("an unknown authority", showing("server-foreign"), stoppedBy: all),
            Attack("an expired certificate", showing("server-expired"), stoppedBy: all),
            Attack("a certificate for clients", showing("server-for-clients"), stoppedBy: all),
            Attack("a revoked certificate", showing("server-revoked"), stoppedBy: [.revocationList, .staple]),
            Attack(
                "a revoked certificate with its response", showing("server-revoked", "-status_file revoked.ocsp"),
                stoppedBy: [.revocationList, .staple]),
            Attack(
                "a revoked certificate with another's response", showing("server-revoked", "-status_file good.ocsp"),
                stoppedBy: [.staple]),
            Attack(
                "an old response", showing("server-ecdsa", "-status_file kept.ocsp"),
                stoppedBy: [.staple]),
            Attack("another name", showing("server-other"), stoppedBy: names),
            Attack("the name as the common name alone", showing("localhost"), stoppedBy: names),
            Attack("another key of the same name", showing("server-renewed"), stoppedBy: [.fullWithPin, .pinAlone]),
            Attack(
                "a weak key", showing("server-weak", "-cipher DEFAULT:@SECLEVEL=0"),
                stoppedBy: strict),
        ]

        static let oldAttacks: [Attack] = [
            Attack("TLS 1.0", showing("server-rsa2048", "-tls1 -cipher ALL:@SECLEVEL=0"), stoppedBy: all),
            Attack("TLS 1.1", showing("server-rsa2048", "-tls1_1 -cipher ALL:@SECLEVEL=0"), stoppedBy: all),
            Attack(
                "a weak Diffie-Hellman group",
                showing("server-rsa2048", "-tls1_2 -cipher DHE+AESGCM:@SECLEVEL=0 -dhparam modp_1536.pem"),
                stoppedBy: strict),
        ]

        @Test(arguments: attacks, [TLSVersion.v1_2, .v1_3])
        func `gets no byte of CONNECT`(attack: Attack, version: TLSVersion) async throws {
            try await expectNothing(attack, version, version)
        }

        /// The client has both versions, as it does by default.
        @Test(arguments: oldAttacks)
        func `gets no byte of CONNECT with old or weak TLS`(attack: Attack) async throws {
            try await expectNothing(attack, .v1_2, nil)
        }

        /// The real broker gets it in each mode: the attacks are not stopped by a mistake in the test.
        @Test(arguments: Mode.allCases, [TLSVersion.v1_2, .v1_3])
        func `is not the broker, which gets its CONNECT`(mode: Mode, version: TLSVersion) async throws {
            let server =
                mode == .preSharedKey
                ? "-nocert -psk_identity sensor -psk 00112233445566778899aabbccddeeff"
                : showing("server-ecdsa", "-status_file good.ocsp")
            let (outcome, output) = try await outcome(server, mode, version, version)
            guard case .connected = outcome else {
                Issue.record("\(mode): \(outcome)\n\(output)")
                return
            }
        }

        private func expectNothing(_ attack: Attack, _ minimum: TLSVersion, _ maximum: TLSVersion?) async throws {
            for mode in attack.stoppedBy {
                let (outcome, output) = try await outcome(attack.server, mode, minimum, maximum)
                guard case .failed(let failure) = outcome else {
                    Issue.record("\(mode) is connected: \(outcome)")
                    continue
                }
                #expect(failure.phase == .tlsHandshake, "\(mode): \(outcome)")
                #expect(Self.isDone(output), "\(mode): the server is not done:\n\(output)")
                #expect(!output.contains("MQTT"), "\(mode): a byte of CONNECT has left:\n\(output)")
            }
        }

        /// Makes one connection, and waits until the server has read all of it.
        private func outcome(
            _ server: String, _ mode: Mode, _ minimum: TLSVersion, _ maximum: TLSVersion?
        ) async throws -> (TLSOutcome, String) {
            let certificates = try Certificates.current
            let running = try await OpenSSLServer.start(server, certificates)
            defer { running.stop() }
            var tls = MQTTTLSConfiguration(trust: .file(certificates.path("root.pem")))
            tls.minimumVersion = minimum
            tls.maximumVersion = maximum
            try mode.apply(&tls, certificates)
            let configuration = MQTTClientConfiguration(host: "localhost", port: running.port, tls: tls)
            let outcome = await TLSOutcome.of(configuration, certificates)
            _ = await eventually { Self.isDone(running.output) }
            return (outcome, running.output)
        }

        /// `openssl s_server` reports the end of a connection, or OpenSSL's error of a handshake.
        private static func isDone(_ output: String) -> Bool {
            output.contains("DONE") || output.contains(":error:")
        }
    }
}
