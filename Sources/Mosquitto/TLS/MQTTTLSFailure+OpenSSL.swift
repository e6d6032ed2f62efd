// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MQTTTLSFailure {
    /// Creates the failure from the callbacks' record of a failed connection. `host`: the verified name.
    init(_ record: UnsafeMutablePointer<cmq_tls>, host: String? = nil) {
        let reason = withUnsafeBytes(of: &record.pointee.reason) { text(of: $0) }
        let code = record.pointee.alert
        let alert =
            code < 0 ? nil : Alert(received: record.pointee.alert_received, code: UInt8(truncatingIfNeeded: code))
        let verification = Verification(record, host: host)
        let kind: Kind =
            if verification != nil {
                .verification
            } else if let alert, alert.concernsClientCertificate(wasRequested: record.pointee.certificate_requested) {
                .clientCertificate
            } else if alert?.received == true {
                .alert
            } else if Self.foreignReasons.contains(record.pointee.reason_code) {
                .notTLS
            } else {
                .protocolError
            }
        self.init(kind, verification: verification, alert: alert, reason: reason.isEmpty ? nil : reason)
    }

    /// Takes an alert of the broker that ends the agreement on versions and groups for the lack of a post-quantum one,
    /// which is all that the client has offered. An alert about a certificate comes later.
    mutating func blameKeyExchange() {
        // handshake_failure, illegal_parameter, protocol_version, insufficient_security
        guard kind == .alert, let alert, [40, 47, 70, 71].contains(alert.code) else { return }
        kind = .notPostQuantum
    }

    /// OpenSSL's reasons for first bytes that are not a TLS record.
    private static let foreignReasons = [
        SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
    ]

    /// Returns the error for a failed handshake, or for a TLS failure after it.
    func error(phase: MQTTError.Phase) -> MQTTError {
        let code: MQTTError.Code =
            switch kind {
            case _ where isProxy && kind != .configuration: .proxy
            case .verification, .unauthenticated: .tlsVerification
            case .alert, .clientCertificate: alert == nil ? .closed : .tlsAlert
            case .configuration: .tlsConfiguration
            case .notTLS, .tlsRequired, .notPostQuantum, .protocolError: .tlsProtocol
            }
        var error = MQTTError(code, description + "; " + advice, phase: phase)
        error.tls = self
        return error
    }
}

extension MQTTTLSFailure.Verification {
    fileprivate init?(_ record: UnsafeMutablePointer<cmq_tls>, host: String?) {
        let code = record.pointee.verify_error
        guard code != 0 else { return nil }
        var text = String(cString: X509_verify_cert_error_string(code))
        if code == X509_V_ERR_APPLICATION_VERIFICATION {
            text =
                record.pointee.misses_pin ? "no public key has a configured pin" : "the custom verification refused it"
        }
        self.init(
            code: Int32(code), text: text, depth: record.pointee.verify_depth,
            certificate: record.pointee.verify_certificate.map { MQTTTLSCertificate($0) }, host: host)
    }
}

extension MQTTTLSFailure.Alert {
    init(received: Bool, code: UInt8) { self.init(received: received, code: code, name: Self.name(of: code)) }

    /// True if the broker rejects the client's certificate, or requires one (RFC 8446, section 6.2).
    func concernsClientCertificate(wasRequested: Bool) -> Bool {
        received && ([42, 43, 44, 45, 46, 48, 49, 116].contains(code) || code == 40 && wasRequested)
    }

    /// The names of RFC 8446, section 6; OpenSSL 3.0 does not know the newest of them.
    private static func name(of code: UInt8) -> String {
        switch code {
        case 10: "unexpected_message"
        case 20: "bad_record_mac"
        case 22: "record_overflow"
        case 40: "handshake_failure"
        case 42: "bad_certificate"
        case 43: "unsupported_certificate"
        case 44: "certificate_revoked"
        case 45: "certificate_expired"
        case 46: "certificate_unknown"
        case 47: "illegal_parameter"
        case 48: "unknown_ca"
        case 49: "access_denied"
        case 50: "decode_error"
        case 51: "decrypt_error"
        case 70: "protocol_version"
        case 71: "insufficient_security"
        case 80: "internal_error"
        case 86: "inappropriate_fallback"
        case 100: "no_renegotiation"
        case 109: "missing_extension"
        case 110: "unsupported_extension"
        case 112: "unrecognized_name"
        case 113: "bad_certificate_status_response"
        case 115: "unknown_psk_identity"
        case 116: "certificate_required"
        case 120: "no_application_protocol"
        default: "alert \(code)"
        }
    }
}

extension MQTTTLSCertificate {
    init(_ certificate: OpaquePointer) {
        subject = field { cmq_certificate_subject(certificate, $0, $1) }
        issuer = field { cmq_certificate_issuer(certificate, $0, $1) }
        serialNumber = field { cmq_certificate_serial(certificate, $0, $1) }
        notBefore = Date(timeIntervalSince1970: Double(cmq_certificate_not_before(certificate)))
        notAfter = Date(timeIntervalSince1970: Double(cmq_certificate_not_after(certificate)))
        subjectAlternativeNames = AlternativeName.names(of: certificate)
        var digest = [UInt8](repeating: 0, count: 32)
        cmq_certificate_pin(certificate, &digest)
        publicKeyPin = MQTTTLSPublicKeyPin(unchecked: digest)
        var bytes: UnsafeMutablePointer<UInt8>?
        let length = i2d_X509(certificate, &bytes)
        der = length > 0 ? Array(UnsafeBufferPointer(start: bytes, count: Int(length))) : []
        CRYPTO_free(bytes, "", 0)
    }

    /// Creates a certificate from DER. Returns `nil` if `der` is not a certificate.
    init?(der: [UInt8]) {
        let certificate = der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return d2i_X509(nil, &start, buffer.count)
        }
        guard let certificate else {
            ERR_clear_error()
            return nil
        }
        defer { X509_free(certificate) }
        self.init(certificate)
    }
}

extension MQTTTLSPeer {
    /// Creates the peer of a handshake in which the broker has sent its certificates.
    init(_ ssl: OpaquePointer, host: String) {
        // In TLS 1.2 the cipher is still pending.
        let cipher = SSL_get_pending_cipher(ssl) ?? SSL_get_current_cipher(ssl)
        self.init(
            host: host, certificates: Self.certificates { cmq_tls_peer_certificate(ssl, $0, $1) },
            verifiedChain: Self.certificates { cmq_tls_verified_certificate(ssl, $0, $1) },
            protocolVersion: String(cString: SSL_get_version(ssl)),
            cipher: cipher.map { String(cString: SSL_CIPHER_get_name($0)) })
    }

    /// Returns the certificates that `copy` writes as DER, until it writes none.
    private static func certificates(
        _ copy: (_ index: Int32, _ der: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> Int
    ) -> [MQTTTLSCertificate] {
        var certificates: [MQTTTLSCertificate] = []
        var index: Int32 = 0
        var bytes: UnsafeMutablePointer<UInt8>?
        while case let length = copy(index, &bytes), length > 0 {
            defer { CRYPTO_free(bytes, "", 0) }
            let der = Array(UnsafeBufferPointer(start: bytes, count: length))
            if let certificate = MQTTTLSCertificate(der: der) { certificates.append(certificate) }
            index += 1
        }
        return certificates
    }
}

extension MQTTTLSCertificate.AlternativeName {
    fileprivate static func names(of certificate: OpaquePointer) -> [Self] {
        var names: [Self] = []
        withUnsafeMutablePointer(to: &names) { pointer in
            // Called for each name on this thread, before the function returns.
            cmq_certificate_names(
                certificate,
                { argument, type, bytes, length in
                    let name = Self(.init(type), bytes: Array(UnsafeBufferPointer(start: bytes, count: length)))
                    argument?.assumingMemoryBound(to: [Self].self).pointee.append(name)
                }, pointer)
        }
        return names
    }
}

extension MQTTTLSCertificate.AlternativeName.Kind {
    fileprivate init(_ type: Int32) {
        switch type {
        case GEN_DNS: self = .dns
        case GEN_EMAIL: self = .email
        case GEN_URI: self = .uri
        case GEN_IPADD: self = .address
        default: self = .other
        }
    }
}

/// Returns the text that C writes into a buffer.
private func field(_ write: (UnsafeMutablePointer<CChar>?, Int) -> Void) -> String {
    // More than is shown, so that a cut is seen.
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2 * ForeignText.limit) { buffer in
        write(buffer.baseAddress, buffer.count)
        return ForeignText(text(of: UnsafeRawBufferPointer(buffer))).description
    }
}

/// The text before the NUL.
private func text(of buffer: UnsafeRawBufferPointer) -> String {
    String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
}
