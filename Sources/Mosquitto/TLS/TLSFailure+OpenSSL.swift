import CMosquitto
import CMosquittoShim

extension TLSFailure {
    /// What the callbacks saw of a connection.
    init(_ record: UnsafeMutablePointer<cmq_tls>) {
        self.init()
        if record.pointee.verify_error != 0 {
            let code = record.pointee.verify_error
            verification = Verification(
                code: Int32(code), text: String(cString: X509_verify_cert_error_string(code)),
                depth: record.pointee.verify_depth, subject: Self.text(&record.pointee.verify_subject))
        }
        if record.pointee.alert >= 0 {
            let code = UInt8(truncatingIfNeeded: record.pointee.alert)
            alert = Alert(received: record.pointee.alert_received, code: code, name: Self.name(ofAlert: code))
        }
        let text = Self.text(&record.pointee.reason)
        if !text.isEmpty { reason = text }
    }

    private static func text<Array>(_ array: inout Array) -> String {
        withUnsafeBytes(of: &array) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The names of RFC 8446, section 6; OpenSSL 3.0 does not know the newest of them.
    private static func name(ofAlert code: UInt8) -> String {
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

    /// The error of a failed handshake, or of a TLS failure after it.
    func error(phase: MQTTError.Phase) -> MQTTError {
        let code: MQTTError.Code =
            verification != nil ? .tlsVerification : alert?.received == true ? .tlsAlert : .tlsProtocol
        var error = MQTTError(code, description, phase: phase)
        error.tls = self
        return error
    }
}
