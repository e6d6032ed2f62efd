// SPDX-License-Identifier: Apache-2.0

/// An MQTT 5.0 property as it was on the wire.
public struct ReceivedProperty: Sendable, Equatable {
    /// The property's identifier (MQTT 5.0, 2.2.2.2).
    public let identifier: UInt8

    /// The value's bytes, with the length prefixes that strings and binary data have.
    public let value: [UInt8]

    /// Creates a property from its wire format.
    public init(identifier: UInt8, value: [UInt8]) {
        self.identifier = identifier
        self.value = value
    }

    /// The value of a byte, two byte, four byte or variable byte integer property.
    public var integer: UInt32? {
        switch PropertyFormat(identifier: identifier) {
        case .byte, .twoBytes, .fourBytes: value.reduce(0) { $0 << 8 | UInt32($1) }
        case .variable: value.reversed().reduce(0) { $0 << 7 | UInt32($1 & 0x7F) }
        case .prefixed, .pair, nil: nil
        }
    }

    /// The bytes of a string or binary data property, without the length prefix.
    public var bytes: [UInt8]? {
        PropertyFormat(identifier: identifier) == .prefixed ? Array(value.dropFirst(2)) : nil
    }

    /// The value of a string property.
    public var string: String? { bytes.flatMap { String(validating: $0, as: UTF8.self) } }

    /// The name and the value of a user property.
    public var pair: (name: String, value: String)? {
        guard PropertyFormat(identifier: identifier) == .pair, value.count >= 4 else { return nil }
        let nameLength = Int(value[0]) << 8 | Int(value[1])
        guard value.count >= 4 + nameLength,
            let name = String(validating: value[2..<(2 + nameLength)], as: UTF8.self),
            let text = String(validating: value[(4 + nameLength)...], as: UTF8.self)
        else { return nil }
        return (name, text)
    }
}

/// The wire formats of property values (MQTT 5.0, 2.2.2.2, table 2-4).
enum PropertyFormat {
    case byte
    case twoBytes
    case fourBytes
    case variable
    case prefixed
    case pair

    init?(identifier: UInt8) {
        switch identifier {
        case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A: self = .byte
        case 0x13, 0x21, 0x22, 0x23: self = .twoBytes
        case 0x02, 0x11, 0x18, 0x27: self = .fourBytes
        case 0x0B: self = .variable
        case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F: self = .prefixed
        case 0x26: self = .pair
        default: return nil
        }
    }
}

/// The property identifiers that the broker itself understands.
enum PropertyID {
    static let subscriptionIdentifier: UInt8 = 0x0B
    static let sessionExpiryInterval: UInt8 = 0x11
    static let assignedClientIdentifier: UInt8 = 0x12
    static let authenticationMethod: UInt8 = 0x15
    static let authenticationData: UInt8 = 0x16
    static let willDelayInterval: UInt8 = 0x18
    static let receiveMaximum: UInt8 = 0x21
    static let topicAlias: UInt8 = 0x23
    static let userProperty: UInt8 = 0x26
}

extension [ReceivedProperty] {
    /// The first property with this identifier, as a number.
    func integer(_ identifier: UInt8) -> UInt32? {
        first { $0.identifier == identifier }?.integer
    }
}
