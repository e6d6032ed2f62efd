// SPDX-License-Identifier: Apache-2.0

/// Encodes PUBLISH packets (MQTT 5.0, section 3.3), many into one buffer.
///
/// libmosquitto (2.0.11 to 2.1) does not encode them: for each message of QoS 1 it would walk its list of messages in
/// flight twice, make a system call for each message and a TLS record for each packet: see docs/performance.md.
struct PublishEncoder {
    /// Complete packets, in order.
    private(set) var bytes: [UInt8] = []
    private let version: MQTTVersion

    init(_ version: MQTTVersion) { self.version = version }

    /// The fields of a packet that are not part of the message.
    struct Header {
        /// The packet identifier, sent with QoS 1 and 2.
        var packetID: UInt16 = 0
        /// True if the message may have been sent before (section 3.3.1.1).
        var isDuplicate = false
        /// The remaining Message Expiry Interval.
        var expiry: UInt32?
        /// The topic alias. The packet omits the topic if the broker knows the alias.
        var alias: (number: UInt16, isKnown: Bool)?
    }

    /// Upper bound of a message's Remaining Length, with a packet identifier and a topic alias.
    static func maximumLength(topic: String, payload: Int, _ properties: MQTTPublishProperties) -> Int {
        2 + topic.utf8.count + 2 + 4 + properties.encodedSize + 3 + payload
    }

    /// Adds a packet. Returns `false`, and adds none, if it were longer than `limit` bytes or than MQTT allows.
    mutating func append(
        topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool, _ properties: MQTTPublishProperties?,
        _ header: Header, limit: UInt32?
    ) -> Bool {
        let topic = header.alias?.isKnown == true ? "" : topic
        let properties = version == .v5_0 ? Self.encode(properties, header) : []
        var remaining = 2 + topic.utf8.count + payload.count
        if qos != .atMostOnce { remaining += 2 }
        if version == .v5_0 { remaining += VariableByteInteger.size(properties.count) + properties.count }
        if remaining > VariableByteInteger.maximum { return false }
        if let limit, 1 + VariableByteInteger.size(remaining) + remaining > limit { return false }

        bytes.append(
            0x30 | (header.isDuplicate ? 8 : 0) | qos.rawValue << 1 | (retain ? 1 : 0))
        VariableByteInteger.append(remaining, to: &bytes)
        append(UInt16(truncatingIfNeeded: topic.utf8.count))
        bytes.append(contentsOf: topic.utf8)
        if qos != .atMostOnce { append(header.packetID) }
        if version == .v5_0 {
            VariableByteInteger.append(properties.count, to: &bytes)
            bytes.append(contentsOf: properties)
        }
        bytes.append(contentsOf: payload)
        return true
    }

    /// Appends a PUBREL (section 3.6), for a message whose PUBREC was received.
    mutating func appendRelease(_ packetID: UInt16) {
        bytes += [0x62, 2]
        append(packetID)
    }

    /// Removes the packets after they were written. The memory is reused, unless it is large.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: bytes.capacity <= Self.kept) }

    private static let kept = 1 << 16

    private mutating func append(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    /// In the order of libmosquitto's commands, so that packets look the same.
    private static func encode(_ properties: MQTTPublishProperties?, _ header: Header) -> [UInt8] {
        var list = PropertyWriter()
        if let properties {
            if let isUTF8 = properties.payloadIsUTF8 { list.add(0x01, byte: isUTF8 ? 1 : 0) }
            if let expiry = header.expiry { list.add(0x02, int32: expiry) }
            if let type = properties.contentType { list.add(0x03, string: type) }
            if let topic = properties.responseTopic { list.add(0x08, string: topic) }
            if let data = properties.correlationData { list.add(0x09, binary: data) }
            for property in properties.userProperties { list.add(0x26, property) }
        }
        if let alias = header.alias { list.add(0x23, int16: alias.number) }
        return list.bytes
    }
}
