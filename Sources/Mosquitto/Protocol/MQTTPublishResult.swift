// SPDX-License-Identifier: Apache-2.0

/// The broker's answer to a publish: its PUBACK, or its PUBREC and PUBCOMP (MQTT 5.0, sections 3.4, 3.5 and 3.7).
public struct MQTTPublishResult: Sendable, Hashable {
    /// Success, or "no matching subscribers" if the broker reports it. Always success for QoS 0, which has no
    /// acknowledgement.
    public var reasonCode: MQTTReasonCode
    /// The broker's text (MQTT 5.0, Reason String).
    public var reasonString: String?
    /// User properties of the acknowledgement, in order.
    public var userProperties: [MQTTUserProperty] = []

    static let success = MQTTPublishResult(.success)

    init(_ reasonCode: MQTTReasonCode) { self.reasonCode = reasonCode }
}
