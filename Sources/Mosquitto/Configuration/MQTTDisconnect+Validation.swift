// SPDX-License-Identifier: Apache-2.0

extension MQTTDisconnect {
    /// The reason codes that a client may send (section 3.14.2.1).
    private static let reasonCodes: Set<MQTTReasonCode> = [
        .success, .disconnectWithWillMessage, .unspecifiedError, .malformedPacket, .protocolError,
        .implementationSpecificError, .topicNameInvalid, .receiveMaximumExceeded, .topicAliasInvalid, .packetTooLarge,
        .messageRateTooHigh, .quotaExceeded, .administrativeAction, .payloadFormatInvalid,
    ]

    func validate(_ configuration: MQTTClientConfiguration) throws(MQTTError) {
        if self == MQTTDisconnect() { return }
        if configuration.version != .v5_0 {
            throw .invalid(.unsupported, "a DISCONNECT of MQTT 3.1.1 says nothing; use shutdown(), or version .v5_0")
        }
        if !Self.reasonCodes.contains(reasonCode) {
            throw .invalid(.invalidProperty, "a client does not send DISCONNECT with \(reasonCode)")
        }
        if let sessionExpiry {
            if sessionExpiry < .zero || sessionExpiry > .seconds(UInt32.max) {
                throw .invalid(
                    .invalidProperty, "session expiry is \(sessionExpiry); it must be from 0 to 4294967295 s")
            }
            // MQTT 5.0, section 3.14.2.2.2.
            if configuration.session == .clean, configuration.connect.cleanSessionExpiry == .zero, sessionExpiry > .zero
            {
                throw .invalid(.invalidProperty, "a clean session cannot be kept by its DISCONNECT")
            }
        }
        try validateString(reasonString, "reason string")
        try Mosquitto.validate(userProperties)
    }
}
