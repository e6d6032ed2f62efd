// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The reason why bytes are not MQTT.
struct MQTTCodecError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A packet whose fixed header was read (MQTT 5.0, 2.1.1).
struct MQTTFrame {
    let header: UInt8
    /// The bytes after the fixed header.
    let body: ByteBuffer
    /// Everything.
    let packet: ByteBuffer

    var type: ReceivedPacketType? { ReceivedPacketType(rawValue: header >> 4) }
    var flags: UInt8 { header & 0x0F }
    var isPartOfPublishing: Bool { (3...7).contains(header >> 4) }

    /// Takes the next packet out of the buffer, or returns `nil` if it is not complete yet.
    static func next(from buffer: inout ByteBuffer) throws(MQTTCodecError) -> MQTTFrame? {
        var peek = buffer
        guard let header = peek.readInteger(as: UInt8.self) else { return nil }
        guard let length = try peek.readVariableInteger() else { return nil }
        guard let body = peek.readSlice(length: Int(length)) else { return nil }
        guard let packet = buffer.readSlice(length: buffer.readableBytes - peek.readableBytes) else { return nil }
        return MQTTFrame(header: header, body: body, packet: packet)
    }
}

extension ClientPacket {
    /// Decodes a packet.
    ///
    /// - Parameter level: The protocol level of the connection. CONNECT contains its own.
    init(_ frame: MQTTFrame, level: UInt8) throws(MQTTCodecError) {
        var body = frame.body
        let isV5 = level >= 5
        switch frame.type {
        case .connect:
            self = .connect(try ConnectPacket(&body))
        case .publish:
            self = .publish(try PublishPacket(&body, flags: frame.flags, isV5: isV5))
        case .puback:
            self = .puback(try body.number())
        case .pubrec:
            let packetID: UInt16 = try body.number()
            self = .pubrec(packetID, reasonCode: body.readInteger() ?? 0)
        case .pubrel:
            try frame.require(flags: 0b0010)
            self = .pubrel(try body.number())
        case .pubcomp:
            self = .pubcomp(try body.number())
        case .subscribe:
            try frame.require(flags: 0b0010)
            self = .subscribe(try SubscribePacket(&body, isV5: isV5))
        case .unsubscribe:
            try frame.require(flags: 0b0010)
            let packetID: UInt16 = try body.number()
            if isV5 { _ = try body.properties() }
            var filters: [String] = []
            while body.readableBytes > 0 { filters.append(try body.text()) }
            self = .unsubscribe(packetID, filters: filters)
        case .pingreq:
            self = .pingreq
        case .disconnect:
            // MQTT 5.0, 3.14.2.1: a remaining length of 0 stands for reason code 0.
            let reasonCode: UInt8? = isV5 ? (body.readInteger() ?? 0) : nil
            self = .disconnect(
                reasonCode: reasonCode,
                properties: isV5 && body.readableBytes > 0 ? try body.properties() : []
            )
        case .auth:
            // MQTT 5.0, 3.15.2.1: a remaining length of 0 stands for reason code 0.
            self = .auth(
                reasonCode: body.readInteger() ?? 0,
                properties: body.readableBytes > 0 ? try body.properties() : []
            )
        case .connack, .suback, .unsuback, .pingresp, nil:
            throw MQTTCodecError("a client must not send packet type \(frame.header >> 4)")
        }
    }
}

extension MQTTFrame {
    fileprivate func require(flags expected: UInt8) throws(MQTTCodecError) {
        if flags != expected { throw MQTTCodecError("packet type \(header >> 4) with flags \(flags)") }
    }
}

extension ConnectPacket {
    fileprivate init(_ body: inout ByteBuffer) throws(MQTTCodecError) {
        let name = try body.text()
        guard name == "MQTT" || name == "MQIsdp" else { throw MQTTCodecError("protocol name \"\(name)\"") }
        let level: UInt8 = try body.number()
        let flags: UInt8 = try body.number()
        guard flags & 1 == 0 else { throw MQTTCodecError("CONNECT with its reserved flag set") }
        let isV5 = level >= 5
        self.level = level
        cleanStart = flags & 0x02 != 0
        keepAlive = try body.number()
        properties = isV5 ? try body.properties() : []
        clientID = try body.text()
        if flags & 0x04 != 0 {
            let properties = isV5 ? try body.properties() : []
            let topic = try body.text()
            let payload = try body.binary()
            let message = BrokerMessage(
                topic: topic,
                payload: ByteBuffer(bytes: payload),
                qos: flags >> 3 & 0x03,
                retain: flags & 0x20 != 0,
                properties: properties.filter { $0.identifier != PropertyID.willDelayInterval },
                publisher: clientID
            )
            will = Will(message: message, delay: properties.integer(PropertyID.willDelayInterval) ?? 0)
        }
        username = flags & 0x80 != 0 ? try body.text() : nil
        password = flags & 0x40 != 0 ? try body.binary() : nil
        guard body.readableBytes == 0 else { throw MQTTCodecError("CONNECT with bytes after its payload") }
    }
}

extension PublishPacket {
    fileprivate init(_ body: inout ByteBuffer, flags: UInt8, isV5: Bool) throws(MQTTCodecError) {
        qos = flags >> 1 & 0x03
        guard qos < 3 else { throw MQTTCodecError("PUBLISH with QoS 3") }
        retain = flags & 0x01 != 0
        dup = flags & 0x08 != 0
        topic = try body.text()
        packetID = qos > 0 ? try body.number() : 0
        guard qos == 0 || packetID != 0 else { throw MQTTCodecError("PUBLISH with packet identifier 0") }
        properties = isV5 ? try body.properties() : []
        payload = body
    }
}

extension SubscribePacket {
    fileprivate init(_ body: inout ByteBuffer, isV5: Bool) throws(MQTTCodecError) {
        packetID = try body.number()
        subscriptionIdentifier = isV5 ? try body.properties().integer(PropertyID.subscriptionIdentifier) : nil
        requests = []
        while body.readableBytes > 0 {
            requests.append((try body.text(), try body.number()))
        }
        guard !requests.isEmpty else { throw MQTTCodecError("SUBSCRIBE without a topic filter") }
    }
}

extension ByteBuffer {
    fileprivate mutating func number<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(MQTTCodecError) -> T {
        guard let value = readInteger(as: T.self) else { throw MQTTCodecError("packet is too short") }
        return value
    }

    fileprivate mutating func binary() throws(MQTTCodecError) -> [UInt8] {
        guard let bytes = readBytes(length: Int(try number(UInt16.self))) else {
            throw MQTTCodecError("packet is too short")
        }
        return bytes
    }

    fileprivate mutating func text() throws(MQTTCodecError) -> String {
        guard let text = String(validating: try binary(), as: UTF8.self) else {
            throw MQTTCodecError("string is not UTF-8")
        }
        return text
    }

    /// Reads a variable byte integer (MQTT 5.0, 1.5.5), or returns `nil` if it is not complete yet.
    fileprivate mutating func readVariableInteger() throws(MQTTCodecError) -> UInt32? {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), through: 21, by: 7) {
            guard let byte = readInteger(as: UInt8.self) else { return nil }
            value |= UInt32(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw MQTTCodecError("variable byte integer of more than four bytes")
    }

    fileprivate mutating func properties() throws(MQTTCodecError) -> [ReceivedProperty] {
        guard let length = try readVariableInteger(), var bytes = readSlice(length: Int(length)) else {
            throw MQTTCodecError("properties are too short")
        }
        var properties: [ReceivedProperty] = []
        while let identifier = bytes.readInteger(as: UInt8.self) {
            guard let format = PropertyFormat(identifier: identifier) else {
                throw MQTTCodecError("unknown property \(identifier)")
            }
            var rest = bytes
            try rest.skipValue(format)
            let length = bytes.readableBytes - rest.readableBytes
            properties.append(ReceivedProperty(identifier: identifier, value: bytes.readBytes(length: length) ?? []))
        }
        return properties
    }

    private mutating func skipValue(_ format: PropertyFormat) throws(MQTTCodecError) {
        switch format {
        case .byte: _ = try number(UInt8.self)
        case .twoBytes: _ = try number(UInt16.self)
        case .fourBytes: _ = try number(UInt32.self)
        case .variable:
            guard try readVariableInteger() != nil else { throw MQTTCodecError("properties are too short") }
        case .prefixed: _ = try binary()
        case .pair:
            _ = try binary()
            _ = try binary()
        }
    }
}
