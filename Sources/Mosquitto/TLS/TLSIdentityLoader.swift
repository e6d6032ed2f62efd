import CMosquitto
import CMosquittoShim

/// Loads a client certificate and its key for the connections of an `SSL_CTX`.
struct TLSIdentityLoader {
    let record: UnsafeMutablePointer<cmq_tls>
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
                if cmq_tls_add_intermediate(record, intermediate, intermediate.count) != 1 {
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
            try use(key, "with \(certificate)", isStored: true) { [record, context] in
                cmq_tls_use_stored_key(record, context, uri, engine, &$0)
            }
        }
    }

    private func useCertificate(_ bytes: [UInt8], _ what: String) throws(MQTTError) {
        if cmq_tls_use_certificate(record, bytes, bytes.count) != 1 {
            throw TLSContext.failure("\(what) cannot be used")
        }
    }

    private mutating func useKey(_ key: MQTTSecret, _ what: String, _ certificate: String) throws(MQTTError) {
        try use(what, "with \(certificate)") { [record, context] passphrase in
            key.withBytes { cmq_tls_use_key(record, context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    private mutating func useContainer(_ container: MQTTSecret, _ what: String) throws(MQTTError) {
        try use(what, nil) { [record, context] passphrase in
            container.withBytes { cmq_tls_use_pkcs12(record, context, $0.baseAddress, $0.count, &passphrase) }
        }
    }

    /// What C does with the passphrase at hand, which it may not need.
    private mutating func use(
        _ what: String, _ companion: String?, isStored: Bool = false, _ body: (inout cmq_passphrase) -> Int32
    ) throws(MQTTError) {
        var asked = cmq_passphrase()
        let result =
            passphrase?.withBytes { bytes in
                asked.bytes = bytes.baseAddress
                asked.length = bytes.count
                return body(&asked)
            } ?? body(&asked)
        if result == 1 { return }
        // An engine has the last word, which says less than the token's own, the first.
        let failure = TLSContext.failure(
            "\(what) cannot be used" + (companion.map { " " + $0 } ?? ""), firstReason: isStored)
        // A token asks for its PIN whatever then fails.
        let isAboutPIN = failure.tls?.reason?.contains("PIN") ?? false
        guard asked.was_asked, passphrase == nil || !isStored || isAboutPIN else { throw failure }
        lacksPassphrase = passphrase == nil
        var error = failure
        error.message = "TLS: \(what) is encrypted, and "
        error.message += passphrase == nil ? "there is no passphrase for it" : "the passphrase does not fit"
        throw error
    }
}
