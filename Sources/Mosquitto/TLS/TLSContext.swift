import CMosquitto
import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An `SSL_CTX` made from a ``TLSConfiguration``, with the record that OpenSSL's callbacks write to.
///
/// It serves one connection at a time, on one thread: `@unchecked Sendable` lets it be built off the loop and then handed
/// over to it. It must outlive every `SSL` made from it, which ``MosquittoHandle`` sees to.
final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer
    let record: UnsafeMutablePointer<cmq_tls>
    private let configuration: TLSConfiguration
    /// What the record points to.
    private var serverName: UnsafeMutablePointer<CChar>?
    private var host = ""
    /// What the files were when they were read.
    private var stamps: [FileStamp] = []

    /// Reads the files that the configuration names. Throws ``MQTTError/Code/tlsConfiguration``.
    init(_ configuration: TLSConfiguration, host: String) throws(MQTTError) {
        self.configuration = configuration
        record = .allocate(capacity: 1)
        record.initialize(to: cmq_tls())
        cmq_tls_reset(record)
        guard let pointer = cmq_ctx_new(record) else {
            record.deallocate()
            throw Self.failure("OpenSSL could not make a context")
        }
        self.pointer = pointer
        record.pointee.resumes = configuration.resumesSessions
        try setHost(host)
        try load()
    }

    /// Before the next connection: the host may be another one, and the files are read again if they are not what they were.
    /// A certificate that was renewed or a trust that was repaired is used from then on. Not while a handshake is under way.
    func prepare(for host: String) throws(MQTTError) {
        if host != self.host { try setHost(host) }
        if FileStamp.stamps(of: configuration) != stamps { try load() }
    }

    private func setHost(_ host: String) throws(MQTTError) {
        let name = configuration.serverName ?? host
        let isAddress = Resolver.numeric(name) != nil
        // Until all of it is set: after a failure the context checks no name, and must not pass for one that does.
        self.host = ""
        free(serverName)
        // RFC 6066, section 3: a literal address is not a server name.
        serverName = isAddress ? nil : strdup(name)
        record.pointee.server_name = UnsafePointer(serverName)
        // A certificate cannot name the scope of an address: it has a meaning on this machine only.
        let checked = isAddress ? String(name.prefix { $0 != "%" }) : name
        guard cmq_ctx_verify_name(pointer, checked, isAddress) == 1 else {
            throw Self.failure("\(quoted(name)) cannot be the name in a certificate")
        }
        self.host = host
        cmq_tls_forget_session(record)
    }

    private func load() throws(MQTTError) {
        // Before the files are read: a change during the reading is a change.
        let stamps = FileStamp.stamps(of: configuration)
        // Until all of them are read: after a failure the trust is empty, even if the files are then what they were.
        self.stamps = []
        guard let store = X509_STORE_new() else { throw Self.failure("OpenSSL could not make a trust store") }
        SSL_CTX_set_cert_store(pointer, store)
        try setTrust(configuration.trust)
        if let identity = configuration.identity { try setIdentity(identity) }
        self.stamps = stamps
        // A resumed session is not verified again, and trust may be what has changed.
        cmq_tls_forget_session(record)
    }

    deinit {
        SSL_CTX_free(pointer)
        cmq_tls_reset(record)
        cmq_tls_forget_session(record)
        record.deallocate()
        free(serverName)
    }

    private func setTrust(_ trust: TLSConfiguration.Trust) throws(MQTTError) {
        switch trust {
        case .system:
            if SSL_CTX_set_default_verify_paths(pointer) != 1 {
                throw Self.failure("the system's certificate authorities cannot be loaded")
            }
        case .file(let path):
            try addTrust(try readFile(path, "certificate authority file"), "certificate authority file \(quoted(path))")
        case .pem(let text):
            try addTrust(Array(text.utf8), "the certificate authorities in memory")
        }
    }

    private func addTrust(_ pem: [UInt8], _ what: String) throws(MQTTError) {
        switch cmq_ctx_trust_pem(pointer, pem, pem.count) {
        case -1: throw Self.failure("\(what): a certificate cannot be read")
        case 0: throw Self.failure("\(what): no certificate in PEM form was found")
        default: break
        }
    }

    private func setIdentity(_ identity: TLSConfiguration.Identity) throws(MQTTError) {
        var certificate: [UInt8]
        var key: [UInt8]
        let names: (certificate: String, key: String)
        switch identity {
        case .files(let certificatePath, let keyPath):
            certificate = try readFile(certificatePath, "certificate file")
            key = try readFile(keyPath, "key file")
            names = ("certificate file \(quoted(certificatePath))", "key file \(quoted(keyPath))")
        case .pem(let certificateText, let keyText):
            certificate = Array(certificateText.utf8)
            key = Array(keyText.text.utf8)
            names = ("the client certificate in memory", "the client key in memory")
        }
        defer { key.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        guard cmq_ctx_use_certificate_pem(pointer, certificate, certificate.count) == 1 else {
            throw Self.failure("\(names.certificate) cannot be used")
        }
        guard cmq_ctx_use_key_pem(pointer, key, key.count) == 1 else {
            throw Self.failure("\(names.key) cannot be used with \(names.certificate)")
        }
    }

    private func readFile(_ path: String, _ what: String) throws(MQTTError) -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            throw MQTTError(
                .tlsConfiguration, "\(what) \(quoted(path)) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            if bytes.count > 16 << 20 {
                throw MQTTError(.tlsConfiguration, "\(what) \(quoted(path)) has more than 16 MiB")
            }
        }
        if ferror(file) != 0 {
            throw MQTTError(.tlsConfiguration, "\(what) \(quoted(path)) cannot be read; is it a directory?")
        }
        chunk.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        return bytes
    }

    /// With OpenSSL's reason, where it left one.
    private static func failure(_ message: String) -> MQTTError {
        var reason = [CChar](repeating: 0, count: 160)
        cmq_error_reason(&reason, reason.count)
        let text = String(cArray: reason)
        var error = MQTTError(.tlsConfiguration, "TLS: " + message + (text.isEmpty ? "" : ": " + text))
        if !text.isEmpty { error.tls = TLSFailure(reason: text) }
        return error
    }
}

extension String {
    /// The text of a NUL-terminated C array.
    init(cArray: some Sequence<CChar>) {
        self.init(decoding: cArray.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
