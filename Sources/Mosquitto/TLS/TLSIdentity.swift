// SPDX-License-Identifier: Apache-2.0

extension MQTTTLSConfiguration {
    /// A client certificate and its private key. Descriptions, mirrors and dumps never show the key.
    public struct Identity: Sendable, CustomStringConvertible, CustomReflectable {
        /// A closure that returns the passphrase of an encrypted key, or the PIN of a token. The client calls it off
        /// the event loop, each time it reads a key that needs one. If the closure throws, the attempt fails as with a
        /// credential provider that throws.
        public typealias Passphrase = @Sendable () async throws -> MQTTSecret

        /// Its mirror shows nothing: the URI may have a PIN.
        enum Source: Sendable, Hashable, CustomReflectable {
            case files(certificate: String, key: String)
            case bytes(certificates: [[UInt8]], key: MQTTSecret)
            case pkcs12File(String)
            case pkcs12(MQTTSecret)
            case stored(certificate: String, uri: String, engine: String?)

            var customMirror: Mirror { Mirror(self, children: []) }
        }

        enum Content: Sendable {
            case source(Source)
            case provider(@Sendable () async throws -> Identity)
        }

        let content: Content
        let passphrase: Passphrase?

        private init(_ source: Source, _ passphrase: Passphrase?) {
            content = .source(source)
            self.passphrase = passphrase
        }

        /// Returns an identity from files in PEM or DER: the certificate, in PEM followed by its intermediates, and the
        /// key.
        public static func files(certificate: String, key: String, passphrase: Passphrase? = nil) -> Identity {
            Identity(.files(certificate: certificate, key: key), passphrase)
        }

        /// Returns an identity from PEM texts: the certificate followed by its intermediates, and the key.
        public static func pem(certificate: String, key: MQTTSecret, passphrase: Passphrase? = nil) -> Identity {
            Identity(.bytes(certificates: [Array(certificate.utf8)], key: key), passphrase)
        }

        /// Returns an identity from DER: the certificate, its intermediates, and the key (PKCS #8 or the key's own
        /// format).
        public static func der(
            certificate: [UInt8], intermediates: [[UInt8]] = [], key: MQTTSecret, passphrase: Passphrase? = nil
        ) -> Identity {
            Identity(.bytes(certificates: [certificate] + intermediates, key: key), passphrase)
        }

        /// Returns an identity from a PKCS #12 file (.p12, .pfx) with certificate, key and intermediates.
        public static func pkcs12(file: String, passphrase: Passphrase? = nil) -> Identity {
            Identity(.pkcs12File(file), passphrase)
        }

        /// Returns an identity from a PKCS #12 container in memory.
        public static func pkcs12(_ bytes: MQTTSecret, passphrase: Passphrase? = nil) -> Identity {
            Identity(.pkcs12(bytes), passphrase)
        }

        /// Returns an identity whose key does not leave its store. A URI such as `pkcs11:token=mqtt;object=key` names
        /// the key; `certificate` is the file of its certificate in PEM or DER.
        ///
        /// Without an engine, OpenSSL's providers open the URI (`OSSL_STORE_open`); they must be configured in
        /// `openssl.cnf`. With an engine, such as "pkcs11", OpenSSL loads that engine (`ENGINE_load_private_key`;
        /// OpenSSL 3 without `no-engine`). The passphrase is the PIN.
        public static func stored(
            certificate: String, keyURI: String, engine: String? = nil, passphrase: Passphrase? = nil
        ) -> Identity {
            Identity(.stored(certificate: certificate, uri: keyURI, engine: engine), passphrase)
        }

        /// Returns an identity that `provide` supplies before each attempt: for certificates that are valid for hours.
        /// `provide` must not return another provider. If it throws, the attempt fails as with a credential provider
        /// that throws, see ``MQTTCredentialError``.
        public static func provider(_ provide: @escaping @Sendable () async throws -> Identity) -> Identity {
            Identity(provide)
        }

        private init(_ provide: @escaping @Sendable () async throws -> Identity) {
            content = .provider(provide)
            passphrase = nil
        }

        public var description: String {
            switch content {
            case .source(.files(let certificate, _)), .source(.stored(let certificate, _, _)):
                "client certificate \(quoted(certificate))"
            case .source(.pkcs12File(let path)): "client certificate in PKCS #12 file \(quoted(path))"
            case .source(.bytes), .source(.pkcs12): "client certificate in memory"
            case .provider: "client certificate of a provider"
            }
        }

        public var customMirror: Mirror { Mirror(self, children: []) }
    }
}
