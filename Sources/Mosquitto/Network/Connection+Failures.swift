import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Errors that end a connection, in words.
extension Connection {
    func endOfStream(_ phase: MQTTError.Phase) -> MQTTError {
        explained(MQTTError(.closed, "the broker closed the connection", phase: phase))
    }

    func lost(_ code: Int32, _ phase: MQTTError.Phase) -> MQTTError {
        let wasReset = code == ECONNRESET || code == EPIPE
        var error = MQTTError(
            .closed, wasReset ? "the connection was reset" : "the connection was lost: \(errorText(code).lowercased())",
            phase: phase)
        error.systemCode = code
        return explained(error)
    }

    /// What the end of a connection that never got its CONNACK suggests.
    func explained(_ error: MQTTError) -> MQTTError {
        if inspector.connackSeen { return error }
        var error = error
        if tls == nil, !hasReceived {
            error.message += " without an answer to CONNECT; it may want TLS at this port"
        } else if stage == .handshaking, !hasReceived {
            let failure = TLSFailure(.notTLS)
            error.message +=
                " without an answer to the TLS handshake, as a port does that has no TLS; \(failure.remedy)"
            error.tls = failure
        } else if stage == .established, tls?.mayRefuseCertificate == true {
            // RFC 8446, section 4.4.2.4: some brokers close without the alert.
            let failure = TLSFailure(.clientCertificate)
            error.message += " after it had asked for a client certificate: \(failure); \(failure.remedy)"
            error.tls = failure
        }
        return error
    }

    /// libmosquitto has closed its side, for a reason that its events or this code tell.
    func libraryClosed(_ rc: Int32) -> MQTTError {
        switch rc {
        case Int32(MOSQ_ERR_PROTOCOL.rawValue), Int32(MOSQ_ERR_MALFORMED_PACKET.rawValue),
            Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue), Int32(MOSQ_ERR_DUPLICATE_PROPERTY.rawValue):
            var error = MQTTError(.protocolViolation, "the broker broke the protocol", phase: .connected)
            error.libraryCode = rc
            return error
        case Int32(MOSQ_ERR_KEEPALIVE.rawValue):
            return MQTTError(.keepAliveTimeout, "nothing came from the broker within the keep-alive", phase: .connected)
        case Int32(MOSQ_ERR_SUCCESS.rawValue), Int32(MOSQ_ERR_NO_CONN.rawValue), Int32(MOSQ_ERR_CONN_LOST.rawValue),
            Int32(MOSQ_ERR_CONN_REFUSED.rawValue), Int32(MOSQ_ERR_ERRNO.rawValue):
            return endOfStream(.connected)
        default: return handle.libraryError(rc, "the connection failed", phase: .connected)
        }
    }
}
