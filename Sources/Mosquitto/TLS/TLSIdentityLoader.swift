// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim

/// Loads a client certificate and its key for the connections of an `SSL_CTX`.
struct TLSIdentityLoader {
    let record: UnsafeMutablePointer<cmq_tls>
    let context: OpaquePointer
    let passphrase: MQTTSecret?
    /// True if the key is encrypted and no passphrase was given.
    private(set) var lacksPassphrase = false

    /// An identity whose files have been read.
    struct Content: Sendable {
        enum Key: Sendable {
            case bytes(MQTTSecret, name: String)
            case stored(uri: String, engine: String?)
        }

        enum Form: Sendable {
            case pair(certificate: MQTTSecret, intermediates: [[UInt8]], name: String, Key)
            case container(MQTTSecret, name: String)
        }

        let form: Form

        /// Reads the files.
        init(reading identity: MQTTTLSConfiguration.Identity.Source) async throws(MQTTError) {
            switch identity {
            case .files(let certificate, let key):
                form = .pair(
                    certificate: try await TLSFile.read(certificate, "certificate file"), intermediates: [],
                    name: "certificate file \(quoted(certificate))",
                    .bytes(try await TLSFile.readKey(key, "key file"), name: "key file \(quoted(key))"))
            case .bytes(let certificates, let key):
                form = .pair(
                    certificate: MQTTSecret(bytes: certificates[0]), intermediates: Array(certificates.dropFirst()),
                    name: "the client certificate in memory", .bytes(key, name: "the client key in memory"))
            case .pkcs12File(let path):
                let what = "PKCS #12 file"
                form = .container(try await TLSFile.readKey(path, what), name: "\(what) \(quoted(path))")
            case .pkcs12(let bytes):
                form = .container(bytes, name: "the PKCS #12 container in memory")
            case .stored(let certificate, let uri, let engine):
                form = .pair(
                    certificate: try await TLSFile.read(certificate, "certificate file"), intermediates: [],
                    name: "certificate file \(quoted(certificate))", .stored(uri: uri, engine: engine))
            }
        }
    }

    mutating func use(_ content: Content) throws(MQTTError) {
        switch content.form {
        case .container(let container, let name): try useContainer(container, name)
        case .pair(let certificate, let intermediates, let name, let key):
            try useCertificate(certificate, name)
            for intermediate in intermediates {
                if cmq_tls_add_intermediate(record, intermediate, intermediate.count) != 1 {
                    throw TLSContext.failure("an intermediate certificate in memory cannot be used")
                }
            }
            switch key {
            case .bytes(let bytes, let keyName): try useKey(bytes, keyName, name)
            case .stored(let uri, let engine): try useStoredKey(uri, engine, name)
            }
        }
    }

    private func useCertificate(_ bytes: MQTTSecret, _ what: String) throws(MQTTError) {
        if bytes.withBytes({ cmq_tls_use_certificate(record, $0.baseAddress, $0.count) }) != 1 {
            throw TLSContext.failure("\(what) cannot be used")
        }
    }

    private mutating func useKey(_ key: MQTTSecret, _ what: String, _ certificate: String) throws(MQTTError) {
        try use(what, "with \(certificate)") { [record, context] passphrase in
            key.withBytes { cmq_tls_use_key(record, context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    private mutating func useStoredKey(_ uri: String, _ engine: String?, _ certificate: String) throws(MQTTError) {
        // The URI is not shown: it may contain a PIN.
        let what = "the stored key" + (engine.map { " of engine \(quoted($0))" } ?? "")
        if engine != nil, !cmq_has_engines() {
            throw TLSContext.failure(
                "\(what) cannot be used: \(OpenSSLLibrary.version) has no engines; configure a provider for the URI, "
                    + "and name no engine")
        }
        do throws(MQTTError) {
            try use(what, "with \(certificate)", isStored: true, isOfEngine: engine != nil) { [record, context] in
                cmq_tls_use_stored_key(record, context, uri, engine, &$0)
            }
        } catch {
            // ERR_R_UNSUPPORTED of OSSL_STORE: no loader for the scheme.
            guard engine == nil, error.tls?.reason == "unsupported" else { throw error }
            var error = error
            error.message =
                "TLS: \(what) cannot be used: no provider of OpenSSL opens such a URI; activate one in openssl.cnf, such"
                + " as pkcs11-provider or tpm2-openssl"
            throw error
        }
    }

    private mutating func useContainer(_ container: MQTTSecret, _ what: String) throws(MQTTError) {
        try use(what, nil) { [record, context] passphrase in
            container.withBytes { cmq_tls_use_pkcs12(record, context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    /// Calls a C function with the passphrase, which it may not need.
    private mutating func use(
        _ what: String, _ companion: String?, isStored: Bool = false, isOfEngine: Bool = false,
        _ body: (inout cmq_passphrase) -> Int32
    ) throws(MQTTError) {
        var asked = cmq_passphrase()
        let result =
            passphrase?.withBytes { bytes in
                asked.bytes = bytes.baseAddress
                asked.length = bytes.count
                return body(&asked)
            } ?? body(&asked)
        if result == 1 { return }
        // The last error of an engine says less than the first, the token's own. The first of a provider is about the
        // schemes that were tried before its own.
        let failure = TLSContext.failure(
            "\(what) cannot be used" + (companion.map { " " + $0 } ?? ""), firstReason: isOfEngine)
        // A token asks for its PIN even if another error follows.
        let isAboutPIN = failure.tls?.reason?.contains("PIN") ?? false
        guard asked.was_asked, passphrase == nil || !isStored || isAboutPIN else { throw failure }
        lacksPassphrase = passphrase == nil
        var error = failure
        error.message = "TLS: \(what) is encrypted, and "
        error.message += passphrase == nil ? "there is no passphrase for it" : "the passphrase does not fit"
        throw error
    }
}
