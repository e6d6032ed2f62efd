import CMosquitto
import CMosquittoShim

/// Puts a client certificate and its key into an `SSL_CTX`. What it reads of a key, it overwrites.
struct TLSIdentityLoader {
    let context: OpaquePointer
    let passphrase: MQTTSecret?
    /// The key is encrypted, and there was no passphrase.
    private(set) var lacksPassphrase = false

    mutating func use(_ identity: TLSConfiguration.Identity.Source) throws(MQTTError) {
        switch identity {
        case .files(let certificatePath, let keyPath):
            let certificate = "certificate file \(quoted(certificatePath))"
            try useCertificate(TLSFile.read(certificatePath, "certificate file"), certificate)
            try useKey(TLSFile.readSecret(keyPath, "key file"), "key file \(quoted(keyPath))", certificate)
        case .bytes(let certificates, let key):
            let certificate = "the client certificate in memory"
            try useCertificate(certificates[0], certificate)
            for intermediate in certificates.dropFirst() {
                if cmq_ctx_add_intermediate(context, intermediate, intermediate.count) != 1 {
                    throw TLSContext.failure("an intermediate certificate in memory cannot be used")
                }
            }
            try useKey(key, "the client key in memory", certificate)
        case .pkcs12File(let path):
            try useContainer(TLSFile.readSecret(path, "PKCS #12 file"), "PKCS #12 file \(quoted(path))")
        case .pkcs12(let bytes):
            try useContainer(bytes, "the PKCS #12 container in memory")
        case .stored(let certificatePath, let uri, let engine):
            let certificate = "certificate file \(quoted(certificatePath))"
            try useCertificate(TLSFile.read(certificatePath, "certificate file"), certificate)
            // The URI is not named: it may have a PIN.
            let key = "the stored key" + (engine.map { " of engine \(quoted($0))" } ?? "")
            try use(key, "with \(certificate)") { [context] in cmq_ctx_use_stored_key(context, uri, engine, &$0) }
        }
    }

    private func useCertificate(_ bytes: [UInt8], _ what: String) throws(MQTTError) {
        if cmq_ctx_use_certificate(context, bytes, bytes.count) != 1 {
            throw TLSContext.failure("\(what) cannot be used")
        }
    }

    private mutating func useKey(_ key: MQTTSecret, _ what: String, _ certificate: String) throws(MQTTError) {
        try use(what, "with \(certificate)") { [context] passphrase in
            key.withBytes { cmq_ctx_use_key(context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    private mutating func useContainer(_ container: MQTTSecret, _ what: String) throws(MQTTError) {
        try use(what, nil) { [context] passphrase in
            container.withBytes { cmq_ctx_use_pkcs12(context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    /// What C does with the passphrase at hand, which it may not need.
    private mutating func use(
        _ what: String, _ companion: String?, _ body: (inout cmq_passphrase) -> Int32
    ) throws(MQTTError) {
        var asked = cmq_passphrase()
        let result =
            passphrase?.withBytes { bytes in
                asked.bytes = bytes.baseAddress
                asked.length = bytes.count
                return body(&asked)
            } ?? body(&asked)
        if result == 1 { return }
        let failure = TLSContext.failure("\(what) cannot be used" + (companion.map { " " + $0 } ?? ""))
        guard asked.was_asked else { throw failure }
        lacksPassphrase = passphrase == nil
        var error = failure
        error.message = "TLS: \(what) is encrypted, and "
        error.message += passphrase == nil ? "there is no passphrase for it" : "the passphrase does not fit"
        throw error
    }
}
