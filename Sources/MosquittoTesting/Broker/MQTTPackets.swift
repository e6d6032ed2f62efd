// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// An application message on its way through the broker.
struct BrokerMessage {
    var topic: String
    var payload: ByteBuffer
    var qos: UInt8
    var retain: Bool
    /// The properties that travel with the message; those of one hop (topic alias, subscription identifier) are
    /// removed.
    var properties: [ReceivedProperty]
    /// `nil` if the broker itself published.
    var publisher: String?
}

/// The will of a CONNECT packet.
struct Will {
    var message: BrokerMessage
    /// In seconds (MQTT 5.0, 3.1.3.2.2).
    var delay: UInt32
}

/// A CONNECT packet.
struct ConnectPacket {
    var level: UInt8
    var cleanStart: Bool
    var keepAlive: UInt16
    var clientID: String
    var will: Will?
    var username: String?
    var password: [UInt8]?
    var properties: [ReceivedProperty]

    var isV5: Bool { level >= 5 }
}

/// A PUBLISH packet.
struct PublishPacket {
    var topic: String
    var payload: ByteBuffer
    var qos: UInt8
    var retain: Bool
    var dup: Bool
    var packetID: UInt16
    var properties: [ReceivedProperty]
}

/// A SUBSCRIBE packet.
struct SubscribePacket {
    var packetID: UInt16
    var requests: [(filter: String, options: UInt8)]
    var subscriptionIdentifier: UInt32?
}

/// A control packet that a client may send.
enum ClientPacket {
    case connect(ConnectPacket)
    case publish(PublishPacket)
    case puback(UInt16)
    case pubrec(UInt16, reasonCode: UInt8)
    case pubrel(UInt16)
    case pubcomp(UInt16)
    case subscribe(SubscribePacket)
    case unsubscribe(UInt16, filters: [String])
    case pingreq
    /// Without a reason code for MQTT 3.1.1.
    case disconnect(reasonCode: UInt8?, properties: [ReceivedProperty])
    case auth(reasonCode: UInt8, properties: [ReceivedProperty])
}
