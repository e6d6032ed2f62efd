// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The control packets that a broker sends, in wire format.
enum ServerPacket {
    static let pingresp = ByteBuffer(bytes: [0xD0, 0x00])

    static func connack(
        sessionPresent: Bool,
        code: UInt8,
        isV5: Bool,
        properties: [UInt8] = []
    ) -> ByteBuffer {
        packet(header: 0x20) { body in
            body.writeInteger(sessionPresent && code == 0 ? 1 : 0, as: UInt8.self)
            body.writeInteger(code)
            if isV5 { body.writeLengthPrefixed(properties) }
        }
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP without a reason code, which means success in MQTT 5.0 too.
    static func acknowledgement(_ type: ReceivedPacketType, packetID: UInt16) -> ByteBuffer {
        // MQTT 5.0, 2.1.3: bit 1 of PUBREL's flags is set.
        packet(header: type.rawValue << 4 | (type == .pubrel ? 0x02 : 0)) { $0.writeInteger(packetID) }
    }

    static func suback(packetID: UInt16, codes: [UInt8], isV5: Bool) -> ByteBuffer {
        packet(header: 0x90) { body in
            body.writeInteger(packetID)
            if isV5 { body.writeLengthPrefixed([]) }
            body.writeBytes(codes)
        }
    }

    /// MQTT 3.1.1 has no codes in UNSUBACK.
    static func unsuback(packetID: UInt16, codes: [UInt8], isV5: Bool) -> ByteBuffer {
        packet(header: 0xB0) { body in
            body.writeInteger(packetID)
            if isV5 {
                body.writeLengthPrefixed([])
                body.writeBytes(codes)
            }
        }
    }

    static func disconnect(reasonCode: UInt8, properties: [UInt8] = []) -> ByteBuffer {
        packet(header: 0xE0) { body in
            body.writeInteger(reasonCode)
            body.writeLengthPrefixed(properties)
        }
    }

    static func auth(reasonCode: UInt8, properties: [ReceivedProperty]) -> ByteBuffer {
        packet(header: 0xF0) { body in
            body.writeInteger(reasonCode)
            body.writeLengthPrefixed(properties.wireFormat)
        }
    }

    static func publish(_ message: BrokerMessage, packetID: UInt16, dup: Bool, isV5: Bool) -> ByteBuffer {
        let flags = (dup ? 0x08 : 0) | message.qos << 1 | (message.retain ? 0x01 : 0)
        return packet(header: 0x30 | flags, capacity: message.payload.readableBytes + message.topic.utf8.count + 16) {
            body in
            body.writeText(message.topic)
            if message.qos > 0 { body.writeInteger(packetID) }
            if isV5 { body.writeLengthPrefixed(message.properties.wireFormat) }
            body.writeImmutableBuffer(message.payload)
        }
    }

    private static func packet(header: UInt8, capacity: Int = 16, _ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var body = ByteBufferAllocator().buffer(capacity: capacity)
        write(&body)
        var packet = ByteBufferAllocator().buffer(capacity: body.readableBytes + 5)
        packet.writeInteger(header)
        packet.writeVariableInteger(body.readableBytes)
        packet.writeBuffer(&body)
        return packet
    }
}

extension [ReceivedProperty] {
    /// The properties without their length.
    var wireFormat: [UInt8] {
        flatMap { [$0.identifier] + $0.value }
    }
}

extension ReceivedProperty {
    /// A string property.
    init(identifier: UInt8, string: String) {
        var value = ByteBuffer()
        value.writeText(string)
        self.init(identifier: identifier, value: Array(value.readableBytesView))
    }

    /// A property whose value is a variable byte integer.
    init(identifier: UInt8, variable: UInt32) {
        var value = ByteBuffer()
        value.writeVariableInteger(Int(variable))
        self.init(identifier: identifier, value: Array(value.readableBytesView))
    }
}

extension ByteBuffer {
    fileprivate mutating func writeText(_ text: String) {
        writeInteger(UInt16(truncatingIfNeeded: text.utf8.count))
        writeString(text)
    }

    fileprivate mutating func writeLengthPrefixed(_ properties: [UInt8]) {
        writeVariableInteger(properties.count)
        writeBytes(properties)
    }

    /// MQTT 5.0, 1.5.5: seven bits per byte, the lowest first.
    fileprivate mutating func writeVariableInteger(_ value: Int) {
        var rest = value
        repeat {
            let byte = UInt8(rest & 0x7F)
            rest >>= 7
            writeInteger(rest > 0 ? byte | 0x80 : byte)
        } while rest > 0
    }
}
