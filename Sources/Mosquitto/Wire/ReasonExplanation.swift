// SPDX-License-Identifier: Apache-2.0

/// The explanation that a broker adds to a reason code in any type of packet: a Reason String and User Properties.
struct ReasonExplanation: Hashable {
    var reasonString: String?
    var userProperties: [MQTTUserProperty] = []

    /// Stores a property of a packet.
    mutating func read(_ identifier: UInt8, _ value: UnsafeRawBufferPointer) {
        switch identifier {
        case 0x1F: reasonString = WireValue.foreignText(value)
        case 0x26: userProperties.append(WireValue.pair(value))
        default: break
        }
    }
}

/// Decoding of property values (MQTT 5.0, section 1.5). Their lengths have been checked.
enum WireValue {
    static func string(_ value: UnsafeRawBufferPointer) -> String {
        String(decoding: value.dropFirst(2), as: UTF8.self)
    }

    /// Returns text for people: printable, and at most 1 KiB.
    static func foreignText(_ value: UnsafeRawBufferPointer) -> String { ForeignText(string(value)).description }

    static func binary(_ value: UnsafeRawBufferPointer) -> [UInt8] { Array(value.dropFirst(2)) }

    static func integer(_ value: UnsafeRawBufferPointer) -> UInt32 { value.reduce(0) { $0 << 8 | UInt32($1) } }

    static func variableByteInteger(_ value: UnsafeRawBufferPointer) -> UInt32 {
        value.reversed().reduce(0) { $0 << 7 | UInt32($1 & 0x7F) }
    }

    static func pair(_ value: UnsafeRawBufferPointer) -> MQTTUserProperty {
        let length = Int(value[0]) << 8 | Int(value[1])
        return MQTTUserProperty(
            String(decoding: value[2..<2 + length], as: UTF8.self),
            String(decoding: value[(4 + length)...], as: UTF8.self))
    }
}

extension MQTTPublishProperties {
    /// Stores a property of a PUBLISH.
    mutating func read(_ identifier: UInt8, _ value: UnsafeRawBufferPointer) {
        switch identifier {
        case 0x01: payloadIsUTF8 = value.first == 1
        case 0x02: messageExpiryInterval = WireValue.integer(value)
        case 0x03: contentType = WireValue.string(value)
        case 0x08: responseTopic = WireValue.string(value)
        case 0x09: correlationData = WireValue.binary(value)
        case 0x0B: subscriptionIdentifiers.append(WireValue.variableByteInteger(value))
        case 0x26: userProperties.append(WireValue.pair(value))
        default: break
        }
    }
}
