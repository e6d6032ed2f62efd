// SPDX-License-Identifier: Apache-2.0

/// A packet from the broker. Rare and large payloads are indirect, so that the many others are small.
enum ServerPacket {
    indirect case connack(Connack)
    /// A PUBLISH of QoS 2 may be a repetition, if its packet identifier was not released by ``pubrel(packetID:)`` yet.
    case publish(MQTTMessage, packetID: UInt16)
    case puback(Acknowledgement)
    /// The broker has received a QoS 2 message, or refuses it.
    case pubrec(Acknowledgement)
    /// The broker has released the packet identifier of a QoS 2 message.
    case pubrel(packetID: UInt16)
    case pubcomp(Acknowledgement)
    indirect case suback(SubscriptionAcknowledgement)
    /// An UNSUBACK of MQTT 3.1.1 has no reason codes.
    indirect case unsuback(SubscriptionAcknowledgement)
    case pingresp
    indirect case disconnect(ServerDisconnect)
    case auth(ServerAuthentication)
}

/// PUBACK, PUBREC or PUBCOMP (MQTT 5.0, section 3.4).
struct Acknowledgement: Hashable {
    var packetID: UInt16
    var reasonCode: UInt8 = 0
    var explanation: ReasonExplanation?
}

/// SUBACK or UNSUBACK (MQTT 5.0, sections 3.9 and 3.11).
struct SubscriptionAcknowledgement: Hashable {
    var packetID: UInt16
    var reasonCodes: [UInt8] = []
    var explanation: ReasonExplanation?
}

/// A broker's DISCONNECT (MQTT 5.0, section 3.14).
struct ServerDisconnect: Hashable {
    var reasonCode: UInt8
    var explanation = ReasonExplanation()
    var serverReference: String?
}

/// A broker's AUTH (MQTT 5.0, section 3.15).
struct ServerAuthentication: Hashable {
    var reasonCode: UInt8
    var data: [UInt8] = []
}
