// SPDX-License-Identifier: Apache-2.0

/// Encodes properties (MQTT 5.0, section 2.2.2), for the packets that libmosquitto does not encode.
struct PropertyWriter {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ identifier: UInt8, byte value: UInt8) { bytes += [identifier, value] }

    mutating func add(_ identifier: UInt8, int16 value: UInt16) {
        bytes.append(identifier)
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ identifier: UInt8, int32 value: UInt32) {
        bytes.append(identifier)
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ identifier: UInt8, variableByteInteger value: UInt32) {
        bytes.append(identifier)
        VariableByteInteger.append(Int(value), to: &bytes)
    }

    mutating func add(_ identifier: UInt8, string value: String) {
        bytes.append(identifier)
        append(value.utf8)
    }

    mutating func add(_ identifier: UInt8, binary value: [UInt8]) {
        bytes.append(identifier)
        append(value)
    }

    mutating func add(_ identifier: UInt8, _ property: MQTTUserProperty) {
        bytes.append(identifier)
        append(property.name.utf8)
        append(property.value.utf8)
    }

    /// Appends a value after its length. The length was validated before.
    private mutating func append(_ value: some Collection<UInt8>) {
        withUnsafeBytes(of: UInt16(clamping: value.count).bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: value.prefix(65_535))
    }
}

/// A number of one to four bytes (MQTT 5.0, section 1.5.5).
enum VariableByteInteger {
    /// The largest number, and the largest Remaining Length of a packet (section 2.1.4).
    static let maximum = 268_435_455

    static func size(_ value: Int) -> Int { value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4 }

    static func append(_ value: Int, to bytes: inout [UInt8]) {
        var rest = value
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}

extension MQTTPublishProperties {
    /// Number of bytes of the properties in a packet, without the length field.
    var encodedSize: Int {
        var size = 0
        if payloadIsUTF8 != nil { size += 2 }
        if messageExpiryInterval != nil { size += 5 }
        for text in [contentType, responseTopic] { size += text.map { 3 + $0.utf8.count } ?? 0 }
        if let correlationData { size += 3 + correlationData.count }
        for property in userProperties { size += 5 + property.name.utf8.count + property.value.utf8.count }
        return size
    }
}
