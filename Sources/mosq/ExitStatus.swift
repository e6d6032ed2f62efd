import Mosquitto

/// The exit status and message of mosquitto's commands for a failure, with what this library knows beyond them.
struct ExitStatus {
    var code: Int32
    var message: String

    init(_ error: MQTTError) {
        switch error.code {
        case .connectionRefused:
            self.init(code: 1, message: "Error: Connection refused")
        case .dns, .networkUnreachable, .timeout, .system:
            self.init(code: 1, message: "Error: \(error)")
        case .tlsVerification, .tlsAlert, .tlsProtocol, .tlsConfiguration:
            // MOSQ_ERR_TLS
            self.init(code: 8, message: "Error: A TLS error occurred. \(error)")
        case .closed:
            // MOSQ_ERR_CONN_LOST
            self.init(code: 7, message: "Error: The connection was lost. \(error)")
        default:
            guard error.phase == .connack, let raw = error.rawReasonCode else {
                self.init(code: error.rawReasonCode.map(Int32.init) ?? 1, message: "Error: \(error)")
                return
            }
            self.init(code: Int32(raw), message: "Connection error: \(Self.refusal(raw))")
        }
    }

    private init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    /// The texts of `mosquitto_connack_string` and `mosquitto_reason_string`.
    private static func refusal(_ code: UInt8) -> String {
        switch code {
        case 1: "Connection Refused: unacceptable protocol version."
        case 2: "Connection Refused: identifier rejected."
        case 3: "Connection Refused: broker unavailable."
        case 4: "Connection Refused: bad user name or password."
        case 5: "Connection Refused: not authorised."
        case 0x80...: MQTTReasonCode(rawValue: code).description
        default: "Connection Refused: unknown reason (\(code))."
        }
    }
}
