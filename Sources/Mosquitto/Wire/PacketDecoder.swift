// SPDX-License-Identifier: Apache-2.0

/// Decodes the broker's byte stream into one ``ServerPacket`` per packet, in the order of the stream.
///
/// Rejects packets above their largest size as soon as their header is here, and values that a server may not send.
/// Packets are decoded in place; only
/// a packet that spans chunks is copied.
struct PacketDecoder {
    let version: MQTTVersion
    private let maximumPacketSize: Int
    /// Largest number of reason codes in a packet.
    private let maximumReasonCodes: Int
    /// True if the client has asked for a clean start, after which no session can be present.
    private let cleanStart: Bool
    /// True if the client has asked for enhanced authentication; without it a broker must not send AUTH (MQTT 5.0,
    /// section 4.12).
    private let expectsAuthentication: Bool

    /// The beginning of an incomplete packet.
    private var carry: [UInt8] = []
    /// The length that `carry` must reach before it is examined again.
    private var needed = 0
    /// Receives a line for each packet in libmosquitto's format, except for CONNACK, which libmosquitto logs itself.
    private let log: PacketLog?
    /// The last topic. Consecutive messages usually share a topic, whose string is then created only once.
    private var lastTopic = (bytes: [UInt8](), text: "")
    private var aliases: InboundTopicAliases
    /// The reason code of the DISCONNECT that tells the broker of its violation, if there is one of its own.
    private(set) var reasonCode: MQTTReasonCode?
    private(set) var connackSeen = false
    /// True after a refusing CONNACK or a DISCONNECT: later packets are ignored.
    private(set) var hasEnded = false
    /// The decoded packets that were not taken yet, in order.
    private(set) var packets: [ServerPacket] = []

    init(
        version: MQTTVersion, maximumPacketSize: Int, maximumReasonCodes: Int = 65_536,
        expectsAuthentication: Bool = true, cleanStart: Bool = false, topicAliasMaximum: UInt16 = 0,
        log: PacketLog? = nil
    ) {
        aliases = InboundTopicAliases(maximum: version == .v5_0 ? topicAliasMaximum : 0)
        self.cleanStart = cleanStart
        self.expectsAuthentication = expectsAuthentication
        self.version = version
        self.maximumPacketSize = maximumPacketSize
        self.maximumReasonCodes = min(maximumReasonCodes, 1 << 28)
        self.log = log
    }

    /// True if the beginning of a packet was received.
    var isInMidPacket: Bool { !carry.isEmpty }

    /// Swaps the decoded packets with an empty array, whose memory is reused.
    mutating func take(_ taken: inout [ServerPacket]) { swap(&taken, &packets) }

    /// Decodes a chunk, up to a packet after which the rest is ignored.
    ///
    /// Throws ``MQTTError/Code/protocolViolation``. Packets before the violation are in ``packets``.
    mutating func decode(_ chunk: UnsafeRawBufferPointer) throws(MQTTError) {
        var position = 0
        while position < chunk.count, !hasEnded {
            if carry.isEmpty {
                let rest = UnsafeRawBufferPointer(rebasing: chunk[position...])
                switch try examine(rest) {
                case .needs(let count):
                    carry.append(contentsOf: rest)
                    needed = count
                    return
                case .finished(let total): position += total
                }
            } else {
                let step = min(needed - carry.count, chunk.count - position)
                carry.append(contentsOf: chunk[position..<position + step])
                position += step
                guard carry.count == needed else { return }
                switch try examineCarry() {
                case .needs(let count): needed = count
                // The memory of a large packet is released.
                case .finished: carry.removeAll(keepingCapacity: carry.capacity <= 1 << 16)
                }
            }
        }
    }

    private enum Progress {
        /// The packet must be examined again when it has this number of bytes.
        case needs(Int)
        /// The packet is complete and valid, and has this number of bytes.
        case finished(total: Int)
    }

    /// A packet without a message needs little, but its properties take many times their bytes in memory, and time.
    private func largestSize(of type: UInt8) -> Int {
        let own =
            switch type {
            case 3: maximumPacketSize
            case 9, 11: Self.largestControl + maximumReasonCodes
            // Authentication data may have 64 KiB by themselves.
            case 2, 15: expectsAuthentication ? 2 * Self.largestControl : Self.largestControl
            default: Self.largestControl
            }
        return min(own, maximumPacketSize)
    }

    static let largestControl = 64 << 10

    private mutating func examineCarry() throws(MQTTError) -> Progress {
        let packet = carry
        return try packet.withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try examine(bytes) }
        }.get()
    }

    private mutating func examine(_ packet: UnsafeRawBufferPointer) throws(MQTTError) -> Progress {
        try examineFirstByte(packet[0])
        guard packet.count >= 2 else { return .needs(2) }
        guard let (remaining, lengthBytes) = try Self.variableByteInteger(packet, at: 1) else {
            return .needs(packet.count + 1)
        }
        let head = 1 + lengthBytes
        let total = head + remaining
        let limit = largestSize(of: packet[0] >> 4)
        if total > limit {
            let name = Self.name(of: packet[0] >> 4)
            let remedy = limit == maximumPacketSize ? ", see receiving.maximumPacketSize" : ""
            throw Self.violation("the broker sent \(name) of \(total) bytes; at most \(limit) are accepted" + remedy)
        }
        if packet[0] >> 4 == 3 {
            return try examinePublish(
                UnsafeRawBufferPointer(rebasing: packet.prefix(total)), head: head, total: total,
                flags: packet[0] & 0x0F)
        }
        guard packet.count >= total else { return .needs(total) }
        try examineControl(packet[0] >> 4, UnsafeRawBufferPointer(rebasing: packet[head..<total]))
        return .finished(total: total)
    }

    /// Checks the type, the flags, and whether a packet of this type is allowed now (MQTT 5.0, section 2.1).
    private func examineFirstByte(_ byte: UInt8) throws(MQTTError) {
        let (type, flags) = (byte >> 4, byte & 0x0F)
        if type == 3 {
            if !connackSeen { throw Self.violation("the broker sent PUBLISH before CONNACK") }
            if flags >> 1 & 3 == 3 { throw Self.violation("the broker sent a PUBLISH with QoS 3") }
            return
        }
        guard let name = Self.names[type], version == .v5_0 || type < 14 else {
            throw Self.violation("the broker sent a packet of type \(type), which a server must not")
        }
        if flags != (type == 6 ? 2 : 0) { throw Self.violation("the broker sent \(name) with the flags \(flags)") }
        if type != 2, !connackSeen, type != 15, type != 14 {
            throw Self.violation("the broker sent \(name) before CONNACK")
        }
    }

    /// MQTT 5.0, section 3.3.
    private mutating func examinePublish(
        _ packet: UnsafeRawBufferPointer, head: Int, total: Int, flags: UInt8
    ) throws(MQTTError) -> Progress {
        let qos = flags >> 1 & 3
        guard total >= head + 2 else { throw Self.malformed("PUBLISH") }
        guard packet.count >= head + 2 else { return .needs(head + 2) }
        let afterTopic = head + 2 + Self.integer16(packet, at: head) + (qos > 0 ? 2 : 0)
        guard afterTopic <= total else { throw Self.malformed("PUBLISH") }
        guard packet.count >= total else { return .needs(total) }
        try takePublish(packet, head: head, afterTopic: afterTopic, flags: flags)
        return .finished(total: total)
    }

    /// Decodes a complete PUBLISH.
    private mutating func takePublish(
        _ packet: UnsafeRawBufferPointer, head: Int, afterTopic: Int, flags: UInt8
    ) throws(MQTTError) {
        let qos = MQTTQoS(rawValue: flags >> 1 & 3) ?? .atMostOnce
        let packetID = qos == .atMostOnce ? 0 : UInt16(Self.integer16(packet, at: afterTopic - 2))
        if packetID == 0, qos != .atMostOnce {
            throw Self.violation("the broker sent a PUBLISH with the packet identifier 0")
        }
        var properties = MQTTPublishProperties()
        var (payload, hasAllProperties) = (afterTopic, true)
        var alias: UInt16?
        if version == .v5_0 {
            (payload, hasAllProperties) = try firstProperties(of: 3, packet, at: afterTopic, beyond: 1 << 0x23) {
                if $0 == 0x23 { alias = UInt16(Self.integer16($1, at: 0)) } else { properties.read($0, $1) }
            }
        }
        let end = afterTopic - (qos == .atMostOnce ? 0 : 2)
        let topic = try topic(UnsafeRawBufferPointer(rebasing: packet[(head + 2)..<end]), alias)
        // A message with too many properties is acknowledged and discarded. Any publisher can send it: to end the
        // connection would have a persistent session end each of its connections.
        var message = MQTTMessage(
            topic: topic, payload: hasAllProperties ? Array(packet[payload...]) : [], qos: qos, retain: flags & 1 == 1,
            properties: hasAllProperties ? properties : .init())
        message.topicAlias = alias
        message.isRepetition = flags & 8 != 0
        message.isDiscarded = !hasAllProperties
        log?(
            """
            received PUBLISH (d\(flags >> 3), q\(qos.rawValue), r\(flags & 1), m\(packetID), '\(ForeignText(topic))', \
            ... (\(message.payload.count) bytes))
            """)
        packets.append(.publish(message, packetID: packetID))
    }

    /// Returns the topic of a PUBLISH, which its alias names if it has none of its own.
    private mutating func topic(_ bytes: UnsafeRawBufferPointer, _ alias: UInt16?) throws(MQTTError) -> String {
        guard let alias else { return try topic(bytes) }
        if let objection = aliases.objection(to: alias) { throw aliasViolation(objection) }
        guard bytes.isEmpty else {
            let topic = try topic(bytes)
            aliases.assign(topic, to: alias)
            return topic
        }
        guard let topic = aliases.topic(of: alias) else {
            throw aliasViolation("the Topic Alias \(alias), to which it has assigned no topic")
        }
        return topic
    }

    /// MQTT 5.0, section 3.3.4: the client may say so with 0x94.
    private mutating func aliasViolation(_ objection: String) -> MQTTError {
        reasonCode = .topicAliasInvalid
        return Self.violation("the broker sent PUBLISH with \(objection)")
    }

    private mutating func topic(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) -> String {
        if lastTopic.bytes.count == bytes.count, lastTopic.bytes.withUnsafeBytes({ bytes.elementsEqual($0) }),
            !bytes.isEmpty
        {
            return lastTopic.text
        }
        guard let text = Self.text(bytes), !text.isEmpty else {
            throw Self.violation("the broker sent a PUBLISH with a malformed topic")
        }
        // Examines a PUBLISH (MQTT 5.0, section 3.3).
        if bytes.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) {
            throw Self.violation("the broker sent a PUBLISH with a wildcard in its topic")
        }
        lastTopic = (Array(bytes), text)
        return text
    }

    /// Returns well-formed UTF-8 without U+0000 (MQTT 5.0, section 1.5.4), else `nil`. Control characters and
    /// non-characters, which a client should not send, are accepted: brokers forward them, and a persistent session
    /// would redeliver a rejected message again and again.
    static func text(_ bytes: some RandomAccessCollection<UInt8>) -> String? {
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private mutating func examineControl(_ type: UInt8, _ body: UnsafeRawBufferPointer) throws(MQTTError) {
        let name = Self.name(of: type)
        switch type {
        case 2: try examineConnack(body)
        case 4...7: try examineAcknowledgement(type, name, body)
        case 9, 11: try examineSubscriptionAcknowledgement(type, name, body)
        case 13:
            if !body.isEmpty { throw Self.malformed(name) }
            log?("received PINGRESP")
            packets.append(.pingresp)
        case 14: try examineDisconnect(body)
        default: try examineAuthentication(body)
        }
    }

    /// Examines an AUTH (MQTT 5.0, section 3.15). An empty one means success.
    private mutating func examineAuthentication(_ body: UnsafeRawBufferPointer) throws(MQTTError) {
        if !expectsAuthentication { throw Self.violation("the broker sent AUTH, which this client did not ask for") }
        var packet = ServerAuthentication(reasonCode: body.first ?? 0)
        if body.count > 1 {
            try properties(of: 15, body, at: 1) { identifier, value in
                if identifier == 0x16 { packet.data = WireValue.binary(value) }
            }
        }
        log?("received AUTH")
        packets.append(.auth(packet))
    }

    private mutating func examineConnack(_ body: UnsafeRawBufferPointer) throws(MQTTError) {
        if connackSeen {
            // mosquitto 2.0.11 refuses a re-authentication with a second CONNACK instead of a DISCONNECT.
            guard expectsAuthentication, version == .v5_0, body.count >= 2, body[1] >= 0x80 else {
                throw Self.violation("the broker sent a second CONNACK")
            }
            if body.count > 2 { try properties(of: 2, body, at: 2) { _, _ in } }
            hasEnded = true
            packets.append(.disconnect(ServerDisconnect(reasonCode: body[1])))
            return
        }
        guard body.count >= 2 else { throw Self.malformed("CONNACK") }
        connackSeen = true
        var connack = Connack(code: body[1], sessionPresent: body[0] & 1 != 0)
        if version == .v5_0 {
            if body.count == 2 {
                // A broker that supports only MQTT 3.1.1 refuses in its own format.
                if body[1] == 0 { throw Self.malformed("CONNACK") }
                connack.isOfOldVersion = true
            } else {
                connack.beginProperties()
                try properties(of: 2, body, at: 2) { connack.read($0, $1) }
            }
        }
        if connack.code == 0 { try checkFlags(body[0]) } else { hasEnded = true }
        packets.append(.connack(connack))
    }

    /// Checks the flags of an accepting CONNACK. Those of a refusal have no meaning.
    private func checkFlags(_ flags: UInt8) throws(MQTTError) {
        // MQTT 3.1.1, section 3.2.2.1 and 5.0, section 3.2.2.1: bits 7 to 1 are 0.
        if flags > 1 { throw Self.violation("the broker sent CONNACK with the acknowledge flags \(flags)") }
        // MQTT 5.0, section 3.2.2.1.1 [MQTT-3.2.2-2].
        if flags == 1, cleanStart {
            throw Self.violation("the broker sent CONNACK with a session present after a clean start")
        }
    }

    private mutating func examineAcknowledgement(
        _ type: UInt8, _ name: String, _ body: UnsafeRawBufferPointer
    ) throws(MQTTError) {
        guard body.count >= 2, version == .v5_0 || body.count == 2 else { throw Self.malformed(name) }
        let packetID = UInt16(Self.integer16(body, at: 0))
        if packetID == 0 { throw Self.violation("the broker sent \(name) with the packet identifier 0") }
        var acknowledgement = Acknowledgement(packetID: packetID)
        if body.count > 2 { acknowledgement.reasonCode = body[2] }
        if body.count > 3 {
            var explanation = ReasonExplanation()
            try properties(of: type, body, at: 3) { explanation.read($0, $1) }
            acknowledgement.explanation = explanation
        }
        let hasCode = type == 4 || type == 7
        log?("received \(name) (Mid: \(packetID)\(hasCode ? ", RC:\(acknowledgement.reasonCode)" : ""))")
        switch type {
        case 4: packets.append(.puback(acknowledgement))
        case 5: packets.append(.pubrec(acknowledgement))
        case 6: packets.append(.pubrel(packetID: packetID))
        default: packets.append(.pubcomp(acknowledgement))
        }
    }

    private mutating func examineSubscriptionAcknowledgement(
        _ type: UInt8, _ name: String, _ body: UnsafeRawBufferPointer
    ) throws(MQTTError) {
        guard body.count >= 2 else { throw Self.malformed(name) }
        var acknowledgement = SubscriptionAcknowledgement(packetID: UInt16(Self.integer16(body, at: 0)))
        if acknowledgement.packetID == 0 {
            throw Self.violation("the broker sent \(name) with the packet identifier 0")
        }
        var end = 2
        if version == .v5_0 {
            var explanation = ReasonExplanation()
            end = try properties(of: type, body, at: 2) { explanation.read($0, $1) }
            if explanation != ReasonExplanation() { acknowledgement.explanation = explanation }
            // There is a reason code for each filter, and each packet has at least one.
            if end == body.count { throw Self.malformed(name) }
        } else if type == 9 ? body.count < 3 : body.count != 2 {
            throw Self.malformed(name)
        }
        acknowledgement.reasonCodes = Array(body[end...])
        log?("received \(name)")
        packets.append(type == 9 ? .suback(acknowledgement) : .unsuback(acknowledgement))
    }

    /// Examines a DISCONNECT (MQTT 5.0, section 3.14). Both the reason code and the properties may be left out.
    private mutating func examineDisconnect(_ body: UnsafeRawBufferPointer) throws(MQTTError) {
        var disconnect = ServerDisconnect(reasonCode: body.first ?? 0)
        if body.count > 1 {
            try properties(of: 14, body, at: 1) { identifier, value in
                disconnect.explanation.read(identifier, value)
                if identifier == 0x1C { disconnect.serverReference = WireValue.string(value) }
            }
        }
        hasEnded = true
        log?.nameless("Received DISCONNECT (\(disconnect.reasonCode))")
        packets.append(.disconnect(disconnect))
    }
}
