// SPDX-License-Identifier: Apache-2.0

/// Checks for values that a server may not send (MQTT 5.0, sections 3.2.2.3 and 3.3.2.3).
enum PropertyValue {
    /// Returns the name and the value of a property with a forbidden value, or `nil`.
    static func objection(to identifier: UInt8, _ value: UnsafeRawBufferPointer) -> String? {
        switch identifier {
        case 0x01: flag("Payload Format Indicator", value)
        // A Maximum QoS of 2 is expressed by the absence of the property.
        case 0x24: flag("Maximum QoS", value)
        case 0x25: flag("Retain Available", value)
        case 0x28: flag("Wildcard Subscription Available", value)
        case 0x29: flag("Subscription Identifier Available", value)
        case 0x2A: flag("Shared Subscription Available", value)
        case 0x21: nonzero("Receive Maximum", value)
        case 0x27: nonzero("Maximum Packet Size", value)
        case 0x0B: WireValue.variableByteInteger(value) == 0 ? "Subscription Identifier 0" : nil
        default: nil
        }
    }

    private static func flag(_ name: String, _ value: UnsafeRawBufferPointer) -> String? {
        guard let byte = value.first, byte > 1 else { return nil }
        return "\(name) \(byte)"
    }

    private static func nonzero(_ name: String, _ value: UnsafeRawBufferPointer) -> String? {
        value.allSatisfy { $0 == 0 } ? "\(name) 0" : nil
    }
}
