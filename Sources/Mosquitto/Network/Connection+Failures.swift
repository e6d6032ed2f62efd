// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Errors that end a connection, with their messages.
extension Connection {
    func endOfStream(_ phase: MQTTError.Phase) -> MQTTError {
        explained(MQTTError(.closed, "the broker closed the connection", phase: phase))
    }

    func lost(_ code: Int32, _ phase: MQTTError.Phase) -> MQTTError {
        if isTunnelling { return proxyEnd(code) }
        let wasReset = code == ECONNRESET || code == EPIPE
        var error = MQTTError(
            .closed, wasReset ? "the connection was reset" : "the connection was lost: \(errorText(code).lowercased())",
            phase: phase)
        error.systemCode = code
        return explained(error)
    }

    /// Names the protocol of the peer in the error of a first packet that is not MQTT.
    func named(_ error: MQTTError, _ bytes: UnsafeRawBufferPointer) -> MQTTError {
        if !decoder.connackSeen, tunnel != nil, tls == nil, webSocket == nil, Self.isTLS(bytes) {
            return Self.tlsRequired
        }
        guard !decoder.connackSeen, let foreign = ForeignProtocol(bytes) else { return error }
        var error = error
        error.message = "the server at this port speaks \(foreign.rawValue), not MQTT; \(foreign.remedy)"
        return error
    }

    /// Names the protocol of the peer in the error of a handshake with a peer that does not speak TLS.
    func namedInHandshake(_ error: MQTTError) -> MQTTError {
        let foreign = isTunnelling ? foreign : tunnel?.foreign ?? foreign
        guard let foreign, let failure = error.tls, failure.kind == .notTLS else { return error }
        var error = error
        error.message =
            isTunnelling
            ? "what answers at the proxy's port speaks \(foreign.rawValue), not TLS; \(failure.advice)"
            : "what answers at this port speaks \(foreign.rawValue), not TLS; \(foreign.remedy)"
        return error
    }

    /// True if bytes begin with a TLS alert or a handshake record: an MQTT packet that a broker may not send.
    static func isTLS(_ bytes: some RandomAccessCollection<UInt8>) -> Bool {
        let start = Array(bytes.prefix(2))
        return start.count == 2 && [21, 22].contains(start[0]) && start[1] == 3
    }

    static var tlsRequired: MQTTError { MQTTTLSFailure(.tlsRequired).error(phase: .connack) }

    /// Adds a likely cause to the error of a connection that received no CONNACK.
    func explained(_ error: MQTTError) -> MQTTError {
        if decoder.connackSeen { return error }
        let hasReceived = tunnel?.hasReceived ?? hasReceived
        var error = error
        if tls == nil, !hasReceived, stage == .upgrading {
            error.message +=
                " without an answer to the upgrade to a WebSocket; the port may want TLS, or MQTT without WebSockets"
        } else if tls == nil, !hasReceived {
            error.message += " without an answer to CONNECT; it may want TLS at this port"
        } else if stage == .handshaking, !hasReceived {
            let failure = MQTTTLSFailure(.notTLS)
            error.message +=
                " without an answer to the TLS handshake: the broker is starting, or the port has no TLS; \(failure.advice)"
            error.tls = failure
        } else if stage == .established || stage == .upgrading, tls?.mayRefuseCertificate == true {
            // RFC 8446, section 4.4.2.4: some brokers close without the alert.
            let failure = MQTTTLSFailure(.clientCertificate)
            error.message += " after it had asked for a client certificate: \(failure); \(failure.advice)"
            error.tls = failure
        }
        return error
    }
}
