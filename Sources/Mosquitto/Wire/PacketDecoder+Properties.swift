// SPDX-License-Identifier: Apache-2.0

/// Decoding of the properties of received packets (MQTT 5.0, section 2.2.2), and of primitive values.
extension PacketDecoder {
    /// Largest number of properties in a packet: each takes memory, and time on the event loop.
    static let maximumProperties = 10_000

    /// Largest number of bytes of all properties of a packet. Text is checked and copied in one turn of the event loop:
    /// of 16 MiB this took 120 ms.
    static let maximumPropertyBytes = 4 << 20

    /// Decodes the properties at `offset`. Returns the offset of their end. Throws if there are too many.
    @discardableResult
    func properties(
        of type: UInt8, _ body: UnsafeRawBufferPointer, at offset: Int,
        _ visit: (UInt8, UnsafeRawBufferPointer) -> Void
    ) throws(MQTTError) -> Int {
        let (end, isComplete) = try firstProperties(of: type, body, at: offset, visit)
        if isComplete { return end }
        throw Self.violation(
            "the broker sent \(Self.name(of: type)) with more than \(Self.maximumProperties) properties")
    }

    /// Decodes properties up to their largest number. Returns the offset of their end, and whether these are all.
    /// `beyond`: properties that are also looked for after that number, as bits of their identifiers.
    func firstProperties(
        of type: UInt8, _ body: UnsafeRawBufferPointer, at offset: Int, beyond: UInt64 = 0,
        _ visit: (UInt8, UnsafeRawBufferPointer) -> Void
    ) throws(MQTTError) -> (end: Int, isComplete: Bool) {
        guard offset < body.count, let (length, lengthBytes) = try Self.variableByteInteger(body, at: offset),
            offset + lengthBytes + length <= body.count
        else { throw Self.malformed(Self.name(of: type)) }
        let start = offset + lengthBytes
        let bytes = UnsafeRawBufferPointer(rebasing: body[start..<start + length])
        return (start + length, try Self.walkProperties(bytes, of: type, beyond: beyond, visit))
    }

    /// The properties that a broker may send in a packet of each type (MQTT 5.0, section 2.2.2.2), as bits of their
    /// identifiers.
    static let allowed: [UInt8: UInt64] = {
        let acknowledgement: [UInt8] = [0x1F, 0x26]
        let identifiers: [UInt8: [UInt8]] = [
            2: [
                0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A,
            ],
            3: [0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26],
            4: acknowledgement, 5: acknowledgement, 6: acknowledgement, 7: acknowledgement, 9: acknowledgement,
            11: acknowledgement, 14: [0x1C, 0x1F, 0x26], 15: [0x15, 0x16, 0x1F, 0x26],
        ]
        return identifiers.mapValues { $0.reduce(into: 0) { bits, identifier in bits |= 1 << UInt64(identifier) } }
    }()

    /// A user property, and in PUBLISH a subscription identifier, may come more than once.
    static let repeatable: UInt64 = 1 << 0x26 | 1 << 0x0B

    /// Calls `visit` for each property. The type of a value follows from its identifier (MQTT 5.0, section 2.2.2.2), so
    /// that unknown properties cannot be skipped. Returns false if there are too many, or too long ones: of these only
    /// those of `beyond` were visited, and no text was checked.
    static func walkProperties(
        _ bytes: UnsafeRawBufferPointer, of type: UInt8, beyond: UInt64 = 0,
        _ visit: (UInt8, UnsafeRawBufferPointer) -> Void
    ) throws(MQTTError) -> Bool {
        if bytes.isEmpty { return true }
        let isTooLong = bytes.count > maximumPropertyBytes
        if isTooLong, beyond == 0 { return false }
        let name = name(of: type)
        let allowed = allowed[type] ?? 0
        var seen: UInt64 = 0
        var position = 0
        var count = 0
        while position < bytes.count {
            if count == maximumProperties, beyond == 0 { return false }
            count += 1
            let identifier = bytes[position]
            let start = position + 1
            let bit: UInt64 = identifier < 64 ? 1 << UInt64(identifier) : 0
            if allowed & bit == 0 {
                throw violation("the broker sent \(name) with the property \(identifier), which it does not have")
            }
            if seen & bit & ~repeatable != 0 {
                throw violation("the broker sent \(name) with the property \(identifier) twice")
            }
            seen |= bit
            let length: Int
            switch identifier {
            case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A: length = 1
            case 0x13, 0x21, 0x22, 0x23: length = 2
            case 0x02, 0x11, 0x18, 0x27: length = 4
            case 0x0B:
                guard let (_, lengthBytes) = try variableByteInteger(bytes, at: start) else { throw malformed(name) }
                length = lengthBytes
            case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F:
                guard start + 2 <= bytes.count else { throw malformed(name) }
                length = 2 + integer16(bytes, at: start)
            case 0x26:
                guard start + 2 <= bytes.count else { throw malformed(name) }
                let second = start + 2 + integer16(bytes, at: start)
                guard second + 2 <= bytes.count else { throw malformed(name) }
                length = second - start + 2 + integer16(bytes, at: second)
            default: throw malformed(name)
            }
            guard start + length <= bytes.count else { throw malformed(name) }
            position = start + length
            if isTooLong || count > maximumProperties, beyond & bit == 0 { continue }
            try checkTexts(of: identifier, bytes[start..<(start + length)], name)
            let value = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
            if let objection = PropertyValue.objection(to: identifier, value) {
                throw violation("the broker sent \(name) with \(objection)")
            }
            visit(identifier, value)
        }
        return !isTooLong && count <= maximumProperties
    }

    /// Checks the text of a property, or its two texts.
    private static func checkTexts(
        of identifier: UInt8, _ value: Slice<UnsafeRawBufferPointer>, _ name: String
    ) throws(MQTTError) {
        let start = value.startIndex
        switch identifier {
        case 0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F: try checkText(value.dropFirst(2), name)
        case 0x26:
            let second = start + 2 + integer16(value.base, at: start)
            try checkText(value[(start + 2)..<second], name)
            try checkText(value[(second + 2)...], name)
        default: break
        }
    }

    /// Throws if text is invalid, except in DISCONNECT: it ends the connection in any case, and its content is useful.
    static func checkText(_ bytes: Slice<UnsafeRawBufferPointer>, _ name: String) throws(MQTTError) {
        if name == names[14] || bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) { return }
        guard let text = text(bytes) else { throw violation("the broker sent \(name) with text that is not UTF-8") }
        // libmosquitto reads this packet after this check, and is stricter.
        if name == names[2], let reason = unsendable(text) {
            throw violation("the broker sent \(name) with \(reason)")
        }
    }

    // MARK: Primitives

    static func integer16(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    }

    /// Reads a variable byte integer (MQTT 5.0, section 1.5.5). Returns `nil` if it is incomplete.
    static func variableByteInteger(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(MQTTError) -> (value: Int, bytes: Int)? {
        var value = 0
        for index in 0..<4 {
            guard offset + index < bytes.count else { return nil }
            let byte = bytes[offset + index]
            value |= Int(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 { return (value, index + 1) }
        }
        throw violation("the broker sent a variable byte integer of more than four bytes")
    }

    static func malformed(_ name: String) -> MQTTError { violation("the broker sent a malformed \(name)") }

    static func violation(_ message: String) -> MQTTError { MQTTError(.protocolViolation, message) }

    static func name(of type: UInt8) -> String { names[type] ?? "PUBLISH" }

    static let names: [UInt8: String] = [
        2: "CONNACK", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP", 9: "SUBACK", 11: "UNSUBACK", 13: "PINGRESP",
        14: "DISCONNECT", 15: "AUTH",
    ]
}
