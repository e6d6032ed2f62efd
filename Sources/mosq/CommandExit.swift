// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The exit status and the last words of a command whose client has failed.
///
/// The status is always that of mosquitto's commands: the reason code of the broker's refusal, or libmosquitto's
/// `MOSQ_ERR_…`. The text is theirs too, unless a flag that only `mosq` has is in use.
struct CommandExit {
    let code: Int32
    let lines: [String]

    /// - Parameter isReference: true for mosquitto's text; false for one line that begins with "Error:".
    init(_ error: MQTTError, in configuration: CommandBehavior, isReference: Bool) {
        // MOSQ_ERR_CONN_LOST: a subscriber that retries does not end for a success.
        let code = Self.code(error, configuration)
        self.code = code == 0 && !isReference ? 7 : code
        lines = isReference ? Self.referenceLines(error, configuration) : ["Error: \(error)"]
    }

    private static func code(_ error: MQTTError, _ behavior: CommandBehavior) -> Int32 {
        if error.phase == .connack, let raw = error.rawReasonCode { return Int32(raw) }
        // MOSQ_ERR_NO_CONN; a subscriber exits with 0.
        if error.isServerDisconnect { return behavior == .subscribe ? 0 : 4 }
        switch (error.code, error.phase) {
        // MOSQ_ERR_PROTOCOL
        case (.protocolViolation, _): return 2
        // MOSQ_ERR_TLS. A handshake that a check or an alert ends already fails in mosquitto_connect(), for which
        // mosquitto's commands have no separate status.
        case (.closed, .tlsHandshake), (.tlsAlert, .connected), (.tlsProtocol, .connected): return 8
        // MOSQ_ERR_PROXY
        case (.proxy, _): return 16
        // MOSQ_ERR_CONN_LOST
        case (.closed, .connack), (_, .connected): return 7
        // Closed by a proxy, or reset before anything was sent.
        case (.closed, .connect): return 7
        default: return 1
        }
    }

    private static func referenceLines(_ error: MQTTError, _ behavior: CommandBehavior) -> [String] {
        if error.phase == .connack, let raw = error.rawReasonCode { return refusalLines(raw, behavior) }
        if error.isServerDisconnect {
            return behavior == .subscribe ? [] : ["Error: The client is not currently connected."]
        }
        switch (error.code, error.phase) {
        case (.closed, .connect):
            return ["Error: The connection was lost."]
        case (.proxy, _):
            // As with TLS, the proxy's own error gets a second line.
            return ["Error: Proxy error.", "\(error)"]
        case (_, .connect), (_, .resolve):
            if error.code == .dns { return ["Unable to connect (Lookup error.)."] }
            if let errno = error.systemCode { return ["Error: \(String(cString: strerror(errno)))"] }
            if error.code == .connectionRefused { return ["Error: \(String(cString: strerror(ECONNREFUSED)))"] }
            return ["Error: \(error)"]
        case (.protocolViolation, _):
            return ["Error: A network protocol error occurred when communicating with the broker."]
        case (.closed, .tlsHandshake):
            return ["Error: A TLS error occurred."]
        case (.tlsVerification, _), (.tlsAlert, _), (.tlsProtocol, _), (.tlsConfiguration, _):
            // mosquitto's text is not enough here: it hides which check failed.
            return ["Unable to connect (A TLS error occurred.).", "\(error)"]
        case (.closed, .connack), (_, .connected):
            return ["Error: The connection was lost."]
        default:
            return ["Error: \(error)"]
        }
    }

    private static func refusalLines(_ code: UInt8, _ behavior: CommandBehavior) -> [String] {
        let isVersion5 = code >= 0x80
        var line = "Connection error: " + (isVersion5 ? reasonString(code) : connackString(code))
        if code == MQTTReasonCode.unsupportedProtocolVersion.rawValue {
            line +=
                behavior == .request
                ? ". mosquitto_rr only supports connecting to an MQTT v5 broker"
                : ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
        }
        switch behavior {
        case .subscribe, .request: return [line]
        case .publish where isVersion5:
            return [line, "Error: A network protocol error occurred when communicating with the broker."]
        case .publish, .publishLines: return [line, "Error: The connection was refused."]
        }
    }

    /// `mosquitto_connack_string`
    private static func connackString(_ code: UInt8) -> String {
        switch code {
        case 1: "Connection Refused: unacceptable protocol version."
        case 2: "Connection Refused: identifier rejected."
        case 3: "Connection Refused: broker unavailable."
        case 4: "Connection Refused: bad user name or password."
        case 5: "Connection Refused: not authorised."
        default: "Connection Refused: unknown reason."
        }
    }

    /// `mosquitto_reason_string`: the specification's name, without the number.
    static func reasonString(_ code: UInt8) -> String {
        let text = MQTTReasonCode(rawValue: code).description
        guard !text.hasPrefix("unknown"), let number = text.lastIndex(of: "(") else { return "Unknown reason" }
        return String(text[..<number].dropLast())
    }
}

extension MQTTError {
    /// True for a DISCONNECT from the broker (MQTT 5.0, section 3.14).
    fileprivate var isServerDisconnect: Bool {
        phase == .connected && rawReasonCode != nil && code != .operationRefused && code != .endsConnection
    }
}
