/// TLS towards the broker, at least version 1.2. The broker's certificate and host name are always verified.
public struct TLSConfiguration: Sendable {
    /// Which certificate authorities are trusted.
    public enum Trust: Sendable, Hashable {
        /// Those of the system (`SSL_CTX_set_default_verify_paths`).
        case system
        /// Those in this PEM file, and no others.
        case file(String)
        /// Those in this PEM text, and no others.
        case pem(String)
    }

    /// A client certificate and its private key.
    public enum Identity: Sendable, CustomStringConvertible {
        /// PEM files: the certificate with its intermediates after it, and the key.
        case files(certificate: String, key: String)
        /// PEM texts.
        case pem(certificate: String, key: MQTTSecret)

        public var description: String {
            switch self {
            case .files(let certificate, _): "client certificate \(quoted(certificate))"
            case .pem: "client certificate in memory"
            }
        }
    }

    /// Whom to trust. Default ``Trust/system``.
    public var trust: Trust
    /// What to show to a broker that asks for a client certificate.
    public var identity: Identity?
    /// The name to verify and to send as SNI instead of the endpoint's host.
    public var serverName: String?

    /// Whether a later connection to the same host resumes the TLS session of an earlier one (RFC 8446, section 2.2), which
    /// spares both sides the certificates. Sessions are forgotten when the files of trust or identity change. Default `true`.
    public var resumesSessions = true

    public init(trust: Trust = .system, identity: Identity? = nil, serverName: String? = nil) {
        self.trust = trust
        self.identity = identity
        self.serverName = serverName
    }

    func validate() throws(MQTTError) {
        for path in [trust.file, identity?.files?.certificate, identity?.files?.key] {
            // Not quoted: it may be a private key.
            if let path, path.contains("-----BEGIN") {
                throw .invalid(.invalidConfiguration, "TLS: a file was named by its content; give a path, or use .pem")
            }
        }
        for text in [serverName, trust.file, identity?.files?.certificate, identity?.files?.key] {
            if let text, text.isEmpty || text.utf8.contains(0) {
                throw .invalid(.invalidConfiguration, "TLS: \(quoted(text)) is neither a file nor a server name")
            }
        }
    }
}

extension TLSConfiguration.Trust {
    var file: String? { if case .file(let path) = self { path } else { nil } }
}

extension TLSConfiguration.Identity {
    var files: (certificate: String, key: String)? {
        if case .files(let certificate, let key) = self { (certificate, key) } else { nil }
    }
}
