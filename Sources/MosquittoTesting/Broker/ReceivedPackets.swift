// SPDX-License-Identifier: Apache-2.0

/// The MQTT control packet types (MQTT 5.0, 2.1.2).
public enum ReceivedPacketType: UInt8, Sendable {
    case connect = 1
    case connack
    case publish
    case puback
    case pubrec
    case pubrel
    case pubcomp
    case subscribe
    case suback
    case unsubscribe
    case unsuback
    case pingreq
    case pingresp
    case disconnect
    case auth
}

/// An MQTT packet that a ``ScriptedBroker`` received.
public struct ReceivedPacket: Sendable, Equatable {
    /// The packet type, `nil` for the reserved type 0.
    public let type: ReceivedPacketType?

    /// The four low bits of the first byte.
    public let flags: UInt8

    /// The whole packet, fixed header included.
    public let bytes: [UInt8]

    /// The index of the TCP connection that carried the packet, in order of acceptance from 0.
    public let connection: Int
}

/// A CONNECT packet that a ``ScriptedBroker`` received.
public struct ReceivedConnect: Sendable, Equatable {
    /// The client identifier as sent: it may be empty.
    public let clientID: String

    /// The user name, if there is one.
    public let username: String?

    /// The password, if there is one. Bytes that are not UTF-8 are replaced.
    public let password: String?

    /// Clean start (5.0) or clean session (3.1.1).
    public let cleanStart: Bool

    /// The keep alive in seconds.
    public let keepAlive: UInt16

    /// 3, 4 (MQTT 3.1.1) or 5.
    public let protocolLevel: UInt8

    /// The topic of the will, if there is one.
    public let willTopic: String?

    /// The payload of the will, if there is one.
    public let willPayload: [UInt8]?

    /// The session expiry interval in seconds, if the property was sent.
    public let sessionExpiry: UInt32?

    /// All MQTT 5.0 properties, without those of the will.
    public let properties: [ReceivedProperty]

    /// The index of the TCP connection that carried the packet, in order of acceptance from 0.
    public let connection: Int

    /// The time of arrival.
    public let at: ContinuousClock.Instant
}

/// A PUBLISH packet that a ``ScriptedBroker`` received.
public struct ReceivedPublish: Sendable, Equatable {
    /// The topic name; a topic alias is resolved.
    public let topic: String

    /// The application message.
    public let payload: [UInt8]

    /// 0, 1 or 2.
    public let qos: UInt8

    /// The RETAIN flag.
    public let retain: Bool

    /// The DUP flag.
    public let dup: Bool

    /// The client identifier of the publisher.
    public let clientID: String

    /// The MQTT 5.0 properties.
    public let properties: [ReceivedProperty]

    /// The payload as text. Bytes that are not UTF-8 are replaced.
    public var text: String { String(decoding: payload, as: UTF8.self) }
}
