/// A CONNACK (MQTT 5.0, section 3.2).
struct Connack: Hashable {
    /// A code of MQTT 3.1.1 is not one of 5.0.
    var code: UInt8
    var sessionPresent = false
    var properties = MQTTConnackProperties()
    /// The Assigned Client Identifier, which this client never asks for: it always gives one.
    var ignoredIdentifier: String?
    /// True if a broker that knows MQTT 3.1.1 only has answered a CONNECT of 5.0, in its own form.
    var isOfOldVersion = false
    /// The properties as they came, but for the Assigned Client Identifier.
    private var propertyBytes: [UInt8]?

    init(code: UInt8, sessionPresent: Bool = false) {
        self.code = code
        self.sessionPresent = sessionPresent
    }

    /// Reads MQTT 5.0's properties one by one, between two calls of ``beginProperties()`` and the use of the packet.
    mutating func beginProperties() { propertyBytes = [] }

    mutating func read(_ identifier: UInt8, _ value: UnsafeRawBufferPointer) {
        if identifier == 0x12 {
            ignoredIdentifier = WireValue.string(value)
            return
        }
        propertyBytes?.append(identifier)
        propertyBytes?.append(contentsOf: value)
        properties.read(identifier, value)
    }

    /// The packet without an Assigned Client Identifier: libmosquitto refuses it if it has given an identifier itself
    /// (2.0.11, `handle__connack`).
    var packet: [UInt8] {
        var body = [sessionPresent ? 1 : 0, code]
        if let propertyBytes {
            VariableByteInteger.append(propertyBytes.count, to: &body)
            body += propertyBytes
        }
        return PacketEncoder.packet(0x20, body)
    }

    /// The error of a refusal with `code`.
    func refusal(_ code: UInt8, _ version: MQTTVersion) -> MQTTError {
        let isCode5 = !isOfOldVersion && version == .v5_0 || code >= 0x80
        var error = MQTTError.refusal(isCode5 ? .v5(MQTTReasonCode(rawValue: code)) : .v3(code))
        error.reasonString = properties.reasonString
        error.userProperties = properties.userProperties
        error.serverReference = properties.serverReference
        return error
    }
}

extension MQTTConnackProperties {
    /// One property of a CONNACK that the decoder looks at.
    mutating func read(_ identifier: UInt8, _ value: UnsafeRawBufferPointer) {
        switch identifier {
        case 0x11: sessionExpiryInterval = WireValue.integer(value)
        case 0x13: serverKeepAlive = UInt16(truncatingIfNeeded: WireValue.integer(value))
        case 0x1A: responseInformation = WireValue.string(value)
        case 0x1C: serverReference = WireValue.string(value)
        case 0x1F: reasonString = WireValue.string(value)
        case 0x21: receiveMaximum = UInt16(truncatingIfNeeded: WireValue.integer(value))
        case 0x22: topicAliasMaximum = UInt16(truncatingIfNeeded: WireValue.integer(value))
        case 0x24: maximumQoS = value.first.flatMap { MQTTQoS(rawValue: $0) } ?? .exactlyOnce
        case 0x25: retainAvailable = value.first != 0
        case 0x26: userProperties.append(WireValue.pair(value))
        case 0x27: maximumPacketSize = WireValue.integer(value)
        case 0x28: wildcardSubscriptionAvailable = value.first != 0
        case 0x29: subscriptionIdentifiersAvailable = value.first != 0
        case 0x2A: sharedSubscriptionAvailable = value.first != 0
        default: break
        }
    }
}
