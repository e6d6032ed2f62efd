// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

extension TLSTests {
    @Suite("The forms of a client certificate and its key")
    struct IdentityFormTests {
        private typealias Identity = MQTTTLSConfiguration.Identity

        private static let right: Identity.Passphrase = { "correct horse" }
        private static let wrong: Identity.Passphrase = { "incorrect horse" }
        private static let strict = showing("server-ecdsa", "-CAfile root.pem -Verify 2 -verify_return_error")

        static let good: [TLSRow] = [
            used("PEM files") { .files(certificate: $0.path("client-ecdsa.pem"), key: $0.path("client-ecdsa.key")) },
            used("PEM in memory") {
                .pem(certificate: try $0.text("client-ecdsa.pem"), key: MQTTSecret(try $0.text("client-ecdsa.key")))
            },
            used("DER files") {
                .files(certificate: $0.path("client-ecdsa.cer"), key: $0.path("client-ecdsa.pkcs8.der"))
            },
            used("DER in memory, PKCS #8") { try der($0, "client-ecdsa.pkcs8.der") },
            used("DER in memory, SEC 1") { try der($0, "client-ecdsa.sec1.der") },
            used("an encrypted key in PEM, PKCS #8") { files($0, "client-ecdsa.encrypted.key", right) },
            used("an encrypted key in PEM, OpenSSL's own form") { files($0, "client-ecdsa.traditional.key", right) },
            used("an encrypted key in DER") { files($0, "client-ecdsa.encrypted.der", right) },
            used("an encrypted key in memory, in DER") { try der($0, "client-ecdsa.encrypted.der", right) },
            used("a key that is not encrypted, and a passphrase") { files($0, "client-ecdsa.key", right) },
            used("PKCS #12 without a passphrase") { .pkcs12(file: $0.path("client-ecdsa.p12")) },
            used("PKCS #12, with an intermediate", "client-intermediate") {
                .pkcs12(file: $0.path("client-intermediate.p12"), passphrase: right)
            },
            used("PKCS #12 in memory", "client-intermediate") {
                .pkcs12(MQTTSecret(bytes: try $0.bytes("client-intermediate.p12")), passphrase: right)
            },
            used("a key by the URI of a file") {
                .stored(certificate: $0.path("client-ecdsa.pem"), keyURI: "file:" + $0.path("client-ecdsa.key"))
            },
            used("an encrypted key by the URI of a file") {
                .stored(
                    certificate: $0.path("client-ecdsa.pem"), keyURI: "file:" + $0.path("client-ecdsa.encrypted.key"),
                    passphrase: right)
            },
            used("a provider") { certificates in
                .provider { files(certificates, "client-ecdsa.encrypted.key", right) }
            },
        ]

        static let bad: [TLSRow] = [
            unused(
                "an encrypted key and the wrong passphrase",
                #"key file "client-ecdsa.encrypted.key" is encrypted, and the passphrase does not fit"#
            ) {
                files($0, "client-ecdsa.encrypted.key", wrong)
            },
            unused(
                "an encrypted key and no passphrase",
                #"key file "client-ecdsa.encrypted.key" is encrypted, and there is no passphrase for it"#
            ) {
                files($0, "client-ecdsa.encrypted.key", nil)
            },
            unused(
                "OpenSSL's own form and the wrong passphrase",
                #"key file "client-ecdsa.traditional.key" is encrypted, and the passphrase does not fit"#
            ) {
                files($0, "client-ecdsa.traditional.key", wrong)
            },
            unused(
                "an encrypted key in DER and no passphrase",
                #"key file "client-ecdsa.encrypted.der" is encrypted, and there is no passphrase for it"#
            ) {
                files($0, "client-ecdsa.encrypted.der", nil)
            },
            unused(
                "PKCS #12 and the wrong passphrase",
                #"PKCS #12 file "client-intermediate.p12" is encrypted, and the passphrase does not fit"#
            ) {
                .pkcs12(file: $0.path("client-intermediate.p12"), passphrase: wrong)
            },
            unused(
                "PKCS #12 and no passphrase",
                #"PKCS #12 file "client-intermediate.p12" is encrypted, and there is no passphrase for it"#
            ) {
                .pkcs12(file: $0.path("client-intermediate.p12"))
            },
            // RC2 and triple DES are in a provider of OpenSSL 3 that must be loaded explicitly.
            unused("PKCS #12 of another age", #"PKCS #12 file "client-ecdsa.legacy.p12" cannot be used: unsupported"#) {
                .pkcs12(file: $0.path("client-ecdsa.legacy.p12"), passphrase: right)
            },
            unused(
                "the key of another certificate",
                #"key file "client-renewed.key" cannot be used with certificate file "client-ecdsa.pem": key values mismatch"#
            ) { files($0, "client-renewed.key", nil) },
            unused(
                "a key of another kind",
                #"key file "client-rsa2048.key" cannot be used with certificate file "client-ecdsa.pem": key type mismatch"#
            ) { files($0, "client-rsa2048.key", nil) },
            unused(
                "a certificate for a key",
                #"key file "client-ecdsa.pem" cannot be used with certificate file "client-ecdsa.pem": unsupported"#
            ) { files($0, "client-ecdsa.pem", nil) },
            unused("a key for a certificate", #"certificate file "client-ecdsa.key" cannot be used: no start line"#) {
                .files(certificate: $0.path("client-ecdsa.key"), key: $0.path("client-ecdsa.key"))
            },
            unused(
                "a key file that is not there",
                #"key file "missing.key" cannot be opened: No such file or directory"#
            ) { files($0, "missing.key", nil) },
            unused(
                "a certificate file that is not there",
                #"certificate file "missing.pem" cannot be opened: No such file or directory"#
            ) {
                .files(certificate: $0.path("missing.pem"), key: $0.path("client-ecdsa.key"))
            },
            unused(
                "a key URI that nobody opens",
                "the stored key cannot be used: no provider of OpenSSL opens such a URI; activate one in openssl.cnf, "
                    + "such as pkcs11-provider or tpm2-openssl"
            ) {
                .stored(certificate: $0.path("client-ecdsa.pem"), keyURI: "vault:client-ecdsa")
            },
            unused(
                "an engine that is not there",
                #"the stored key of engine "nobody" cannot be used with certificate file "client-ecdsa.pem": could not load the shared library"#
            ) {
                .stored(certificate: $0.path("client-ecdsa.pem"), keyURI: "pkcs11:object=key", engine: "nobody")
            },
        ]

        private struct Unavailable: Error {}

        /// It is asked before each attempt, as a credential provider is.
        private static let failing: [TLSRow] = [
            TLSRow("a passphrase that cannot be had", server: strict, .fails(.credentials, in: .credentials)) {
                $0.identity = files($1, "client-ecdsa.encrypted.key") { throw Unavailable() }
            },
            TLSRow("a provider that fails", server: strict, .fails(.credentials, in: .credentials)) { tls, _ in
                tls.identity = .provider { throw Unavailable() }
            },
        ]

        private static func files(
            _ certificates: Certificates, _ key: String, _ passphrase: Identity.Passphrase?
        ) -> Identity {
            .files(
                certificate: certificates.path("client-ecdsa.pem"), key: certificates.path(key), passphrase: passphrase)
        }

        private static func der(
            _ certificates: Certificates, _ key: String, _ passphrase: Identity.Passphrase? = nil
        ) throws -> Identity {
            .der(
                certificate: try certificates.bytes("client-ecdsa.cer"),
                key: MQTTSecret(bytes: try certificates.bytes(key)), passphrase: passphrase)
        }

        private static func used(
            _ name: String, _ subject: String = "client-ecdsa",
            _ identity: @escaping @Sendable (Certificates) throws -> Identity
        ) -> TLSRow {
            TLSRow(name, server: strict, .connects(), serverSays: "CN = \(subject)") {
                $0.identity = try identity($1)
            }
        }

        private static func unused(
            _ name: String, _ message: String, _ identity: @escaping @Sendable (Certificates) throws -> Identity
        ) -> TLSRow {
            TLSRow(name, server: strict, .misconfigured(message)) { $0.identity = try identity($1) }
        }

        @Test(arguments: good) func `are read`(row: TLSRow) async throws {
            try await row.check(.v1_3)
        }

        @Test(arguments: bad + failing) func `that cannot be used are told before anything is sent`(row: TLSRow)
            async throws
        {
            try await row.check(.v1_3)
        }
    }
}
