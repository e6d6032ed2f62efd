/// SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0, sections 3.8 and 3.10): their packet identifiers must not be those of a PUBLISH of ours,
/// and libmosquitto (2.0.11 to 2.1) would count on without looking.
enum SubscriptionPackets {
    static func subscribe(_ group: SubscriptionTable.Group, _ packetID: UInt16, _ version: MQTTVersion) -> [UInt8] {
        var properties = PropertyWriter()
        if let identifier = group.identifier { properties.add(0x0B, variableByteInteger: identifier) }
        for property in group.subscriptions[0].userProperties { properties.add(0x26, property) }
        return packet(0x82, packetID, version, properties) { body in
            for subscription in group.subscriptions {
                append(subscription.filter.filter, to: &body)
                body.append(subscription.qos.rawValue | (version == .v5_0 ? subscription.options : 0))
            }
        }
    }

    static func unsubscribe(_ filters: [String], _ packetID: UInt16, _ version: MQTTVersion) -> [UInt8] {
        packet(0xA2, packetID, version, PropertyWriter()) { body in
            for filter in filters { append(filter, to: &body) }
        }
    }

    private static func packet(
        _ type: UInt8, _ packetID: UInt16, _ version: MQTTVersion, _ properties: PropertyWriter,
        _ payload: (inout [UInt8]) -> Void
    ) -> [UInt8] {
        var body = [UInt8(truncatingIfNeeded: packetID >> 8), UInt8(truncatingIfNeeded: packetID)]
        if version == .v5_0 {
            VariableByteInteger.append(properties.bytes.count, to: &body)
            body += properties.bytes
        }
        payload(&body)
        var packet = [type]
        VariableByteInteger.append(body.count, to: &packet)
        return packet + body
    }

    private static func append(_ filter: String, to body: inout [UInt8]) {
        withUnsafeBytes(of: UInt16(clamping: filter.utf8.count).bigEndian) { body.append(contentsOf: $0) }
        body.append(contentsOf: filter.utf8)
    }
}
