// SPDX-License-Identifier: Apache-2.0

/// A reason code of MQTT 5.0 (section 2.4). Values that the specification does not define are preserved.
///
/// The return codes 1 to 5 of an MQTT 3.1.1 CONNACK (MQTT 3.1.1, section 3.2.2.3) are kept separate: see
/// ``MQTTConnectReturnCode``.
public struct MQTTReasonCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }
    init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// True if the code reports a failure (0x80 and above).
    public var isError: Bool { rawValue >= 0x80 }

    public static let success = MQTTReasonCode(0x00)
    public static let grantedQoS1 = MQTTReasonCode(0x01)
    public static let grantedQoS2 = MQTTReasonCode(0x02)
    public static let disconnectWithWillMessage = MQTTReasonCode(0x04)
    public static let noMatchingSubscribers = MQTTReasonCode(0x10)
    public static let noSubscriptionExisted = MQTTReasonCode(0x11)
    public static let continueAuthentication = MQTTReasonCode(0x18)
    public static let reauthenticate = MQTTReasonCode(0x19)
    public static let unspecifiedError = MQTTReasonCode(0x80)
    public static let malformedPacket = MQTTReasonCode(0x81)
    public static let protocolError = MQTTReasonCode(0x82)
    public static let implementationSpecificError = MQTTReasonCode(0x83)
    public static let unsupportedProtocolVersion = MQTTReasonCode(0x84)
    public static let clientIdentifierNotValid = MQTTReasonCode(0x85)
    public static let badUserNameOrPassword = MQTTReasonCode(0x86)
    public static let notAuthorized = MQTTReasonCode(0x87)
    public static let serverUnavailable = MQTTReasonCode(0x88)
    public static let serverBusy = MQTTReasonCode(0x89)
    public static let banned = MQTTReasonCode(0x8A)
    public static let serverShuttingDown = MQTTReasonCode(0x8B)
    public static let badAuthenticationMethod = MQTTReasonCode(0x8C)
    public static let keepAliveTimeout = MQTTReasonCode(0x8D)
    public static let sessionTakenOver = MQTTReasonCode(0x8E)
    public static let topicFilterInvalid = MQTTReasonCode(0x8F)
    public static let topicNameInvalid = MQTTReasonCode(0x90)
    public static let packetIdentifierInUse = MQTTReasonCode(0x91)
    public static let packetIdentifierNotFound = MQTTReasonCode(0x92)
    public static let receiveMaximumExceeded = MQTTReasonCode(0x93)
    public static let topicAliasInvalid = MQTTReasonCode(0x94)
    public static let packetTooLarge = MQTTReasonCode(0x95)
    public static let messageRateTooHigh = MQTTReasonCode(0x96)
    public static let quotaExceeded = MQTTReasonCode(0x97)
    public static let administrativeAction = MQTTReasonCode(0x98)
    public static let payloadFormatInvalid = MQTTReasonCode(0x99)
    public static let retainNotSupported = MQTTReasonCode(0x9A)
    public static let qosNotSupported = MQTTReasonCode(0x9B)
    public static let useAnotherServer = MQTTReasonCode(0x9C)
    public static let serverMoved = MQTTReasonCode(0x9D)
    public static let sharedSubscriptionsNotSupported = MQTTReasonCode(0x9E)
    public static let connectionRateExceeded = MQTTReasonCode(0x9F)
    public static let maximumConnectTime = MQTTReasonCode(0xA0)
    public static let subscriptionIdentifiersNotSupported = MQTTReasonCode(0xA1)
    public static let wildcardSubscriptionsNotSupported = MQTTReasonCode(0xA2)

    /// The name in the specification with the number: "Not authorized (0x87)".
    public var description: String {
        let number = "0x" + (rawValue < 16 ? "0" : "") + String(rawValue, radix: 16, uppercase: true)
        guard let name = Self.names[rawValue] else { return "unknown reason code (\(number))" }
        return "\(name) (\(number))"
    }

    private static let names: [UInt8: String] = [
        0x00: "Success", 0x01: "Granted QoS 1", 0x02: "Granted QoS 2", 0x04: "Disconnect with Will Message",
        0x10: "No matching subscribers", 0x11: "No subscription existed", 0x18: "Continue authentication",
        0x19: "Re-authenticate", 0x80: "Unspecified error", 0x81: "Malformed Packet", 0x82: "Protocol Error",
        0x83: "Implementation specific error", 0x84: "Unsupported Protocol Version",
        0x85: "Client Identifier not valid", 0x86: "Bad User Name or Password", 0x87: "Not authorized",
        0x88: "Server unavailable", 0x89: "Server busy", 0x8A: "Banned", 0x8B: "Server shutting down",
        0x8C: "Bad authentication method", 0x8D: "Keep Alive timeout", 0x8E: "Session taken over",
        0x8F: "Topic Filter invalid", 0x90: "Topic Name invalid", 0x91: "Packet Identifier in use",
        0x92: "Packet Identifier not found", 0x93: "Receive Maximum exceeded", 0x94: "Topic Alias invalid",
        0x95: "Packet too large", 0x96: "Message rate too high", 0x97: "Quota exceeded",
        0x98: "Administrative action", 0x99: "Payload format invalid", 0x9A: "Retain not supported",
        0x9B: "QoS not supported", 0x9C: "Use another server", 0x9D: "Server moved",
        0x9E: "Shared Subscriptions not supported", 0x9F: "Connection rate exceeded",
        0xA0: "Maximum connect time", 0xA1: "Subscription Identifiers not supported",
        0xA2: "Wildcard Subscriptions not supported",
    ]
}

/// The broker's reason for refusing a CONNECT: an MQTT 5.0 reason code or an MQTT 3.1.1 return code. The two are
/// distinct, although both share numbers with libmosquitto's own error codes.
public enum MQTTConnectReturnCode: Sendable, Hashable, CustomStringConvertible {
    /// MQTT 3.1.1, section 3.2.2.3: 1 unacceptable protocol version, 2 identifier rejected, 3 server unavailable,
    /// 4 bad user name or password, 5 not authorized.
    case v3(UInt8)
    /// MQTT 5.0, section 3.2.2.2.
    case v5(MQTTReasonCode)

    /// The number as the broker sent it.
    public var rawValue: UInt8 {
        switch self {
        case .v3(let code): code
        case .v5(let code): code.rawValue
        }
    }

    /// The code, mapped to MQTT 5.0.
    public var reasonCode: MQTTReasonCode {
        switch self {
        case .v5(let code): code
        case .v3(1): .unsupportedProtocolVersion
        case .v3(2): .clientIdentifierNotValid
        case .v3(3): .serverUnavailable
        case .v3(4): .badUserNameOrPassword
        case .v3(5): .notAuthorized
        case .v3(let code): MQTTReasonCode(rawValue: code)
        }
    }

    public var description: String {
        switch self {
        case .v5(let code): code.description
        case .v3(1): "unacceptable protocol version (1)"
        case .v3(2): "identifier rejected (2)"
        case .v3(3): "server unavailable (3)"
        case .v3(4): "bad user name or password (4)"
        case .v3(5): "not authorized (5)"
        case .v3(let code): "unknown return code (\(code))"
        }
    }
}
