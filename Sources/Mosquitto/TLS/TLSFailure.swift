/// What exactly went wrong in TLS: the X.509 check that failed, the alert that was sent or received, or OpenSSL's reason.
public struct TLSFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The failed check of the broker's certificate.
    public struct Verification: Sendable, Hashable {
        /// OpenSSL's `X509_V_ERR_…` number: 10 expired, 18 and 19 self-signed, 20 unknown issuer, 62 wrong host name.
        public var code: Int32
        /// OpenSSL's text for it (`X509_verify_cert_error_string`).
        public var text: String
        /// Where in the chain: 0 is the broker's own certificate.
        public var depth: Int32
        /// The subject of the certificate that failed, as one line.
        public var subject: String

        public init(code: Int32, text: String, depth: Int32, subject: String) {
            self.code = code
            self.text = text
            self.depth = depth
            self.subject = subject
        }
    }

    /// A TLS alert (RFC 8446, section 6).
    public struct Alert: Sendable, Hashable {
        /// Whether the broker sent it (else this side did).
        public var received: Bool
        /// The number of the alert: 42 bad_certificate, 116 certificate_required and so on.
        public var code: UInt8
        /// Its name.
        public var name: String

        public init(received: Bool, code: UInt8, name: String) {
            self.received = received
            self.code = code
            self.name = name
        }
    }

    /// The certificate check that failed, if that is why.
    public var verification: Verification?
    /// The fatal alert, if there was one.
    public var alert: Alert?
    /// OpenSSL's reason, such as "wrong version number".
    public var reason: String?

    public init(verification: Verification? = nil, alert: Alert? = nil, reason: String? = nil) {
        self.verification = verification
        self.alert = alert
        self.reason = reason
    }

    public var description: String {
        if let verification {
            return "certificate verification failed: \(verification.text) (error \(verification.code) at depth"
                + " \(verification.depth), subject \(verification.subject))"
                // X509_V_ERR_CERT_NOT_YET_VALID
                + (verification.code == 9 ? "; is the clock of this machine right?" : "")
        }
        if let alert, alert.received {
            return "the broker sent the TLS alert \(alert.name) (\(alert.code))"
        }
        if let reason { return "TLS failed: \(reason)" }
        if let alert { return "TLS failed with the alert \(alert.name) (\(alert.code))" }
        return "TLS failed"
    }
}
