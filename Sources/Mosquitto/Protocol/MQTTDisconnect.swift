// SPDX-License-Identifier: Apache-2.0

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
}
