// SPDX-License-Identifier: Apache-2.0

extension MQTTError {
    /// The error for a refusing CONNACK: ``Code/notAuthorized`` if the code concerns the credentials, ``Code/refused``
    /// otherwise.
    static func refusal(_ code: MQTTConnectReturnCode) -> MQTTError {
        let isAuthentication = code.reasonCode == .notAuthorized || code.reasonCode == .badUserNameOrPassword
        var error = MQTTError(
            isAuthentication ? .notAuthorized : .refused,
            "the broker refused the connection: \(code)",
            phase: .connack
        )
        error.reasonCode = code.reasonCode
        error.rawReasonCode = code.rawValue
        return error
    }

    /// The error for a broker's DISCONNECT (MQTT 5.0, section 3.14).
    static func disconnect(_ code: MQTTReasonCode, reference: String?) -> MQTTError {
        let kind: MQTTError.Code =
            switch code {
            case .notAuthorized: .notAuthorized
            case .sessionTakenOver: .sessionTakenOver
            default: code.isError ? .refused : .closed
            }
        var error = MQTTError(
            kind,
            "the broker ended the connection: \(code)",
            phase: .connected
        )
        error.reasonCode = code
        error.rawReasonCode = code.rawValue
        error.serverReference = reference
        return error
    }

    /// The error for an operation that the broker refuses, or that its CONNACK rules out. The connection stays up.
    static func operationRefused(_ code: MQTTReasonCode, _ message: String, libraryCode: Int32? = nil) -> MQTTError {
        var error = MQTTError(.operationRefused, message, phase: .connected)
        error.reasonCode = code
        error.rawReasonCode = code.rawValue
        error.libraryCode = libraryCode
        return error
    }
}
