// SPDX-License-Identifier: Apache-2.0

/// A CONNACK (MQTT 5.0, section 3.2).
struct Connack: Hashable {
    /// The code as received. The codes of MQTT 3.1.1 differ from those of MQTT 5.0.
    var code: UInt8
    var sessionPresent = false
    var properties = MQTTConnackProperties()
    /// The Assigned Client Identifier. It is ignored: the client always sends its own identifier, and never asks for
    /// one.
    var ignoredIdentifier: String?
    /// True if a broker that supports only MQTT 3.1.1 answered an MQTT 5.0 CONNECT in its own format.
    var isOfOldVersion = false
    /// The properties as received, without the Assigned Client Identifier.
    private var propertyBytes: [UInt8]?

    init(code: UInt8, sessionPresent: Bool = false) {
        self.code = code
        self.sessionPresent = sessionPresent
    }

    /// Begins the reading of MQTT 5.0 properties. Must be called before ``read(_:_:)``.
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

    /// The packet without an Assigned Client Identifier: libmosquitto rejects one if it has sent an identifier itself
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
    /// Stores a property of the CONNACK.
    mutating func read(_ identifier: UInt8, _ value: UnsafeRawBufferPointer) {
        switch identifier {
        case 0x11: sessionExpiryInterval = WireValue.integer(value)
        case 0x13: serverKeepAlive = UInt16(truncatingIfNeeded: WireValue.integer(value))
        case 0x1A: responseInformation = WireValue.string(value)
        case 0x1C: serverReference = WireValue.string(value)
        case 0x1F: reasonString = WireValue.foreignText(value)
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
