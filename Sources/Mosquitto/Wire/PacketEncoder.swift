// SPDX-License-Identifier: Apache-2.0

/// Encodes single packets. ``Opening`` encodes CONNECT, ``PublishEncoder`` runs of PUBLISH, and
/// ``OutgoingAcknowledgements`` acknowledgements.
enum PacketEncoder {
    static let pingreq: [UInt8] = [0xC0, 0]

    /// SUBSCRIBE (MQTT 5.0, section 3.8).
    static func subscribe(
        _ subscriptions: [MQTTSubscription], identifier: UInt32?, _ packetID: UInt16, _ version: MQTTVersion
    ) -> [UInt8] {
        var properties = PropertyWriter()
        if let identifier = identifier ?? subscriptions[0].identifier {
            properties.add(0x0B, variableByteInteger: identifier)
        }
        for property in subscriptions[0].userProperties { properties.add(0x26, property) }
        var body = start(packetID, properties, version)
        for subscription in subscriptions {
            append(subscription.filter.filter, to: &body)
            body.append(subscription.qos.rawValue | (version == .v5_0 ? subscription.options : 0))
        }
        return packet(0x82, body)
    }

    /// UNSUBSCRIBE (MQTT 5.0, section 3.10).
    static func unsubscribe(_ filters: [String], _ packetID: UInt16, _ version: MQTTVersion) -> [UInt8] {
        var body = start(packetID, PropertyWriter(), version)
        for filter in filters { append(filter, to: &body) }
        return packet(0xA2, body)
    }

    /// DISCONNECT (MQTT 5.0, section 3.14). In MQTT 3.1.1 it has no content.
    static func disconnect(_ disconnect: MQTTDisconnect, _ version: MQTTVersion) -> [UInt8] {
        guard version == .v5_0 else { return packet(0xE0, []) }
        var properties = PropertyWriter()
        if let expiry = disconnect.sessionExpiry {
            properties.add(0x11, int32: UInt32(clamping: expiry.components.seconds))
        }
        if let reason = disconnect.reasonString { properties.add(0x1F, string: reason) }
        for property in disconnect.userProperties { properties.add(0x26, property) }
        // Empty fields may be left out (section 3.14.2.1), as in libmosquitto.
        if properties.bytes.isEmpty {
            return packet(0xE0, disconnect.reasonCode == .success ? [] : [disconnect.reasonCode.rawValue])
        }
        var body = [disconnect.reasonCode.rawValue]
        append(properties, to: &body)
        return packet(0xE0, body)
    }

    /// AUTH (MQTT 5.0, section 3.15).
    static func auth(_ reasonCode: UInt8, method: String, data: [UInt8]?) -> [UInt8] {
        var properties = PropertyWriter()
        properties.add(0x15, string: method)
        if let data { properties.add(0x16, binary: data) }
        var body = [reasonCode]
        append(properties, to: &body)
        return packet(0xF0, body)
    }

    /// The fixed header (MQTT 5.0, section 2.1) and what follows it.
    static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
        var packet = [first]
        VariableByteInteger.append(body.count, to: &packet)
        return packet + body
    }

    private static func start(_ packetID: UInt16, _ properties: PropertyWriter, _ version: MQTTVersion) -> [UInt8] {
        var body = [UInt8(truncatingIfNeeded: packetID >> 8), UInt8(truncatingIfNeeded: packetID)]
        if version == .v5_0 { append(properties, to: &body) }
        return body
    }

    private static func append(_ properties: PropertyWriter, to body: inout [UInt8]) {
        VariableByteInteger.append(properties.bytes.count, to: &body)
        body += properties.bytes
    }

    private static func append(_ filter: String, to body: inout [UInt8]) {
        withUnsafeBytes(of: UInt16(clamping: filter.utf8.count).bigEndian) { body.append(contentsOf: $0) }
        body.append(contentsOf: filter.utf8)
    }
}
