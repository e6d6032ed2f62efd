/// The fields of the DISCONNECT that a client sends at its shutdown (MQTT 5.0, section 3.14;
/// `mosquitto_disconnect_v5`).
public struct MQTTDisconnect: Sendable, Hashable {
    /// The reason for the disconnection. With ``MQTTReasonCode/success``, the default, the broker discards the will;
    /// with ``MQTTReasonCode/disconnectWithWillMessage`` it publishes the will.
    public var reasonCode: MQTTReasonCode
    /// The time for which the broker keeps the session from now on, in whole seconds; `nil` to leave it as agreed in
    /// the CONNECT. Not for a clean session.
    public var sessionExpiry: Duration?
    /// A text for the broker's log.
    public var reasonString: String?
    /// User properties, in order.
    public var userProperties: [MQTTUserProperty]

    public init(
        reasonCode: MQTTReasonCode = .success, sessionExpiry: Duration? = nil, reasonString: String? = nil,
        userProperties: [MQTTUserProperty] = []
    ) {
        self.reasonCode = reasonCode
        self.sessionExpiry = sessionExpiry
        self.reasonString = reasonString
        self.userProperties = userProperties
    }

    /// The reason codes that a client may send (section 3.14.2.1).
    private static let reasonCodes: Set<MQTTReasonCode> = [
        .success, .disconnectWithWillMessage, .unspecifiedError, .malformedPacket, .protocolError,
        .implementationSpecificError, .topicNameInvalid, .receiveMaximumExceeded, .topicAliasInvalid, .packetTooLarge,
        .messageRateTooHigh, .quotaExceeded, .administrativeAction, .payloadFormatInvalid,
    ]

    func validate(_ configuration: MQTTClientConfiguration) throws(MQTTError) {
        if self == MQTTDisconnect() { return }
        if configuration.version == .v3_1_1 {
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
            if configuration.session == .clean, configuration.cleanSessionExpiry == .zero, sessionExpiry > .zero {
                throw .invalid(.invalidProperty, "a clean session cannot be kept by its DISCONNECT")
            }
        }
        try validateString(reasonString, "reason string")
        try Mosquitto.validate(userProperties)
    }
}
