extension TLSConfiguration {
    /// A client certificate and its private key. Its description, mirror and dump never show the key.
    public struct Identity: Sendable, CustomStringConvertible, CustomReflectable {
        /// Gives the passphrase of an encrypted key, or the PIN of a token. Called off the event loop, each time that the key is
        /// read, if it turns out to need one. If it throws, the attempt fails like one whose credential provider throws.
        public typealias Passphrase = @Sendable () async throws -> MQTTSecret

        enum Source: Sendable, Hashable {
            case files(certificate: String, key: String)
            case bytes(certificates: [[UInt8]], key: MQTTSecret)
            case pkcs12File(String)
            case pkcs12(MQTTSecret)
            case stored(certificate: String, uri: String, engine: String?)
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

        /// Files in PEM or DER: the certificate, in PEM with its intermediates after it, and the key.
        public static func files(certificate: String, key: String, passphrase: Passphrase? = nil) -> Identity {
            Identity(.files(certificate: certificate, key: key), passphrase)
        }

        /// PEM texts: the certificate with its intermediates after it, and the key.
        public static func pem(certificate: String, key: MQTTSecret, passphrase: Passphrase? = nil) -> Identity {
            Identity(.bytes(certificates: [Array(certificate.utf8)], key: key), passphrase)
        }

        /// DER: the certificate, its intermediates, and the key (PKCS #8 or the key's own format).
        public static func der(
            certificate: [UInt8], intermediates: [[UInt8]] = [], key: MQTTSecret, passphrase: Passphrase? = nil
        ) -> Identity {
            Identity(.bytes(certificates: [certificate] + intermediates, key: key), passphrase)
        }

        /// A PKCS #12 file (.p12, .pfx) with certificate, key and intermediates.
        public static func pkcs12(file: String, passphrase: Passphrase? = nil) -> Identity {
            Identity(.pkcs12File(file), passphrase)
        }

        /// The same in memory.
        public static func pkcs12(_ bytes: MQTTSecret, passphrase: Passphrase? = nil) -> Identity {
            Identity(.pkcs12(bytes), passphrase)
        }

        /// A key that does not leave its store, named by a URI such as `pkcs11:token=mqtt;object=key`, and the file of its
        /// certificate in PEM or DER.
        ///
        /// Without an engine, the URI is opened by OpenSSL's providers (`OSSL_STORE_open`), which have to be configured in
        /// `openssl.cnf`. With one, such as "pkcs11", that engine is loaded (`ENGINE_load_private_key`; OpenSSL 3 without
        /// `no-engine`). The passphrase is the PIN.
        public static func stored(
            certificate: String, keyURI: String, engine: String? = nil, passphrase: Passphrase? = nil
        ) -> Identity {
            Identity(.stored(certificate: certificate, uri: keyURI, engine: engine), passphrase)
        }

        /// What `provide` answers, before each attempt: for certificates that live for hours. It must not answer with another
        /// provider. If it throws, the attempt fails like one whose credential provider throws, see ``MQTTCredentialError``.
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
