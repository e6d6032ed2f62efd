/// What libmosquitto's callbacks, and the inspector in front of it, have to tell. Copied, so that nothing of the library's
/// memory leaves a callback.
enum MosquittoEvent {
    /// A CONNACK; 3.1.1 codes are not those of 5.0.
    case connack(code: UInt8, sessionPresent: Bool, properties: MQTTConnackProperties)
    /// PUBACK, PUBCOMP, or a PUBREC that refuses.
    case published(packetID: UInt16, reasonCode: UInt8, explanation: Explanation?)
    /// PUBREC: the broker has taken a QoS 2 message over.
    case publishReceived(packetID: UInt16, reasonCode: UInt8, explanation: Explanation)
    case subscribed(packetID: UInt16, reasonCodes: [UInt8], explanation: Explanation?)
    case unsubscribed(packetID: UInt16, reasonCodes: [UInt8], explanation: Explanation)
    /// A PUBLISH. One of QoS 2 may be a repetition, which its packet identifier tells until ``released(packetID:)``.
    case message(MQTTMessage, packetID: UInt16)
    /// PUBREL: the broker has done with a QoS 2 message.
    case released(packetID: UInt16)
    /// A PUBLISH has more than one Subscription Identifier.
    case severalSubscriptionIdentifiers
    /// A DISCONNECT of the broker.
    case serverDisconnect(ServerDisconnect)
    /// An AUTH packet of the broker.
    case authentication(ServerAuthentication)
}

/// A broker's DISCONNECT (MQTT 5.0, section 3.14).
struct ServerDisconnect: Hashable {
    var reasonCode: UInt8
    var explanation = Explanation()
    var serverReference: String?
}

/// A broker's AUTH (MQTT 5.0, section 3.15).
struct ServerAuthentication: Hashable {
    var reasonCode: UInt8
    var data: [UInt8] = []
}
