// SPDX-License-Identifier: Apache-2.0

/// A PUBLISH packet as a broker sends it, byte by byte.
struct WirePublish: Sendable {
    let topic: String
    let payload: [UInt8]
    var qos: UInt8 = 0
    var retain = false
    /// Used with QoS 1 and 2.
    var packetID: UInt8 = 0
    /// MQTT 5.0, in wire format without their length.
    var properties: [UInt8] = []

    func bytes(isV5: Bool) -> [UInt8] {
        var body = Self.string(topic)
        if qos > 0 { body += [0, packetID] }
        if isV5 { body += Self.length(properties.count) + properties }
        body += payload
        return [0x30 | qos << 1 | (retain ? 1 : 0)] + Self.length(body.count) + body
    }

    private static func length(_ count: Int) -> [UInt8] {
        count < 128 ? [UInt8(count)] : [UInt8(count % 128) | 0x80] + length(count / 128)
    }

    private static func string(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count / 256), UInt8(text.utf8.count % 256)] + Array(text.utf8)
    }

    /// The messages that a subscriber receives in most rows: eight messages of all kinds.
    static let samples: [WirePublish] = [
        WirePublish(topic: "a/kept", payload: Array("kept".utf8), retain: true),
        WirePublish(topic: "a/text", payload: Array("hello, world".utf8)),
        WirePublish(topic: "a/empty", payload: [], qos: 1, packetID: 9),
        WirePublish(
            topic: "a/json", payload: Array(#"{"x": [1, 2.50, "\u00e9\n"], "y": {}, "x": null}"#.utf8), qos: 1,
            packetID: 10),
        WirePublish(topic: "a/ünïcödé/\"q\"", payload: Array("ü\tñ".utf8)),
        WirePublish(
            topic: "b/rich", payload: Array("12".utf8), qos: 1, packetID: 12,
            properties: [0x0B, 0x05, 0x01, 0x01, 0x03] + string("text/plain") + [0x08] + string("re/ply") + [0x09]
                + string("co\"rr") + [0x26] + string("name") + string("value") + [0x26] + string("na\"me")
                + string("v 2") + [0x02, 0, 0, 0x02, 0x58]),
        WirePublish(topic: "b/number", payload: Array("-17.50e1".utf8)),
        // libmosquitto delivers it with PUBREL, which the broker sends after the PUBREC.
        WirePublish(topic: "a/bytes", payload: [0xFF, 0x00, 0x0A, 0x22, 0x5C, 0x7F, 0x1B], qos: 2, packetID: 11),
    ]

    static func samples(isV5: Bool) -> [UInt8] { samples.flatMap { $0.bytes(isV5: isV5) } }
}
