/// What libmosquitto's callbacks, and the inspector in front of it, have to tell. Copied, so that nothing of the library's
/// memory leaves a callback.
///
/// There may be many: what is rare and large is indirect, so that the others are small.
enum MosquittoEvent {
    /// A CONNACK; 3.1.1 codes are not those of 5.0.
    indirect case connack(code: UInt8, sessionPresent: Bool, properties: MQTTConnackProperties)
    /// PUBACK.
    case acknowledged(Acknowledgement)
    /// PUBREC: the broker has taken a QoS 2 message over, or refuses it.
    case publishReceived(Acknowledgement)
    /// PUBCOMP.
    case completed(Acknowledgement)
    indirect case subscribed(packetID: UInt16, reasonCodes: [UInt8], explanation: Explanation?)
    indirect case unsubscribed(packetID: UInt16, reasonCodes: [UInt8], explanation: Explanation)
    /// A PUBLISH. One of QoS 2 may be a repetition, which its packet identifier tells until ``released(packetID:)``.
    case message(MQTTMessage, packetID: UInt16)
    /// PUBREL: the broker has done with a QoS 2 message.
    case released(packetID: UInt16)
    /// A DISCONNECT of the broker.
    indirect case serverDisconnect(ServerDisconnect)
    /// An AUTH packet of the broker.
    case authentication(ServerAuthentication)
}

/// What PUBACK, PUBREC and PUBCOMP have in common (MQTT 5.0, section 3.4).
struct Acknowledgement: Hashable {
    var packetID: UInt16
    var reasonCode: UInt8 = 0
    var explanation: Explanation?
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
