// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A TLS failure: its cause, the side that failed, and the remedy.
public struct MQTTTLSFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// This side refused the broker's certificate; see ``MQTTTLSFailure/verification``.
        case verification
        /// The handshake succeeded, but nothing in it authenticated the broker: neither a verified certificate, nor the
        /// configured pre-shared key, nor the resumption of a session that one of them began. CONNECT was not sent.
        case unauthenticated
        /// The broker ended TLS with an alert; see ``MQTTTLSFailure/alert``.
        case alert
        /// The broker rejected the client's certificate, or required one. In TLS 1.3 it does so after the handshake.
        case clientCertificate
        /// The configuration requires a post-quantum key exchange, and the broker has none that this side has, or no
        /// TLS 1.3; see ``MQTTTLSFailure/alert``. CONNECT was not sent.
        case notPostQuantum
        /// The server at the port does not speak TLS.
        case notTLS
        /// The server at the port speaks TLS, but the client is configured for plain TCP.
        case tlsRequired
        /// The client's configuration cannot be used. Nothing was sent.
        case configuration
        /// No version or cipher suite is shared, or a record was damaged.
        case protocolError
    }

    /// The failed check of the broker's certificate.
    public struct Verification: Sendable, Hashable {
        /// OpenSSL's `X509_V_ERR_…` number: 10 expired, 18 and 19 self-signed, 20 unknown issuer, 62 wrong host name,
        /// 23 revoked, 50 a pin or your own check.
        public var code: Int32
        /// OpenSSL's text for the code (`X509_verify_cert_error_string`), or a description of another failed check.
        public var text: String
        /// The position in the chain: 0 is the broker's own certificate.
        public var depth: Int32
        /// The certificate that failed.
        public var certificate: MQTTTLSCertificate?
        /// The name that the broker's certificate must have.
        public var host: String?

        public init(
            code: Int32, text: String, depth: Int32, certificate: MQTTTLSCertificate? = nil, host: String? = nil
        ) {
            self.code = code
            self.text = text
            self.depth = depth
            self.certificate = certificate
            self.host = host
        }
    }

    /// A TLS alert (RFC 8446, section 6).
    public struct Alert: Sendable, Hashable {
        /// True if the broker sent the alert, false if the client did.
        public var received: Bool
        /// The number of the alert: 42 bad_certificate, 116 certificate_required and so on.
        public var code: UInt8
        /// The name of the alert.
        public var name: String

        public init(received: Bool, code: UInt8, name: String) {
            self.received = received
            self.code = code
            self.name = name
        }
    }

    public var kind: Kind
    /// The failed certificate check, if there was one.
    public var verification: Verification?
    /// The fatal alert, if there was one.
    public var alert: Alert?
    /// OpenSSL's reason, such as "wrong version number".
    public var reason: String?
    /// True if the TLS session is that with an `https` proxy, not with the broker; see ``MQTTProxy/tls``. The error has
    /// the code ``MQTTError/Code/proxy``.
    public var isProxy = false

    public init(_ kind: Kind, verification: Verification? = nil, alert: Alert? = nil, reason: String? = nil) {
        self.kind = kind
        self.verification = verification
        self.alert = alert
        self.reason = reason
    }

    /// A description without the remedy.
    public var description: String {
        let peer = isProxy ? "the proxy" : "the broker"
        let port = isProxy ? "the proxy's port" : "this port"
        let tls = isProxy ? "TLS with the proxy" : "TLS"
        switch kind {
        case .verification:
            guard let verification else { return "\(peer)'s certificate was refused" }
            return (isProxy ? "the proxy's " : "") + verification.description
        case .unauthenticated: return "\(peer) did not authenticate itself" + (reason.map { ": \($0)" } ?? "")
        case .alert, .clientCertificate:
            guard let alert else { return "\(peer) does not accept the client's certificate, or that there is none" }
            return "\(peer) sent the TLS alert \(alert.name) (\(alert.code))"
        case .notPostQuantum:
            return "\(peer) has no post-quantum key exchange in common with this side"
                + ((alert.map { "it sent the TLS alert \($0.name) (\($0.code))" } ?? reason).map { ": \($0)" } ?? "")
        case .notTLS: return "what answers at \(port) does not speak TLS"
        case .tlsRequired: return "what answers at \(port) speaks TLS"
        case .configuration: return "the TLS configuration cannot be used" + (reason.map { ": \($0)" } ?? "")
        case .protocolError:
            if let reason { return "\(tls) failed: \(reason)" }
            return alert.map { "\(tls) failed with the alert \($0.name) (\($0.code))" } ?? "\(tls) failed"
        }
    }
}

extension MQTTTLSFailure.Verification: CustomStringConvertible {
    public var description: String {
        var details = "error \(code) at depth \(depth)"
        if let certificate {
            details += ", subject \(certificate.subject), issuer \(certificate.issuer), valid from"
            details += " \(certificate.notBefore.formatted(.iso8601)) to \(certificate.notAfter.formatted(.iso8601))"
            // The host may be missing from the names.
            if depth == 0, !certificate.subjectAlternativeNames.isEmpty {
                // More would not be shown.
                let names = certificate.subjectAlternativeNames.prefix(200).map(\.description).joined(separator: ", ")
                details += ", for \(ForeignText(names))"
            }
        }
        return "certificate verification failed: \(text) (\(details))"
    }
}
