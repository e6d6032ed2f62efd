// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

/// Packets as bytes.
enum Sample {
    static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] { [first] + varint(body.count) + body }

    static func varint(_ value: Int) -> [UInt8] {
        var (value, bytes) = (value, [UInt8]())
        repeat {
            bytes.append(UInt8(value & 0x7F) | (value > 0x7F ? 0x80 : 0))
            value >>= 7
        } while value > 0
        return bytes
    }

    static func string(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + text.utf8
    }

    static func properties(_ bytes: [UInt8]) -> [UInt8] { varint(bytes.count) + bytes }

    static let userProperty = [0x26] + string("name") + string("value")
    static let user = MQTTUserProperty("name", "value")

    static func connack(_ version: MQTTVersion, code: UInt8 = 0, _ bytes: [UInt8] = []) -> [UInt8] {
        packet(0x20, [0, code] + (version == .v5_0 ? properties(bytes) : []))
    }

    static func publish(_ version: MQTTVersion, qos: UInt8 = 0, _ bytes: [UInt8] = [], payload: [UInt8] = [1, 2, 3])
        -> [UInt8]
    {
        packet(
            0x30 | qos << 1,
            string("a/b") + (qos > 0 ? [0, 7] : []) + (version == .v5_0 ? properties(bytes) : []) + payload)
    }

    /// Every property that a broker may send, in all packets together.
    static let connackProperties: [UInt8] =
        [0x11, 0, 0, 0, 60, 0x21, 0, 10, 0x24, 1, 0x25, 1, 0x27, 0, 0, 16, 0, 0x12] + string("client") + [
            0x22, 0, 5, 0x1F,
        ]
        + string("reason") + userProperty + [0x28, 1, 0x29, 1, 0x2A, 1, 0x13, 0, 30, 0x1A] + string("response") + [0x1C]
        + string("server") + [0x15] + string("method") + [0x16] + string("data")
    static let publishProperties: [UInt8] =
        [0x01, 1, 0x02, 0, 0, 0, 9, 0x08] + string("answer") + [0x09, 0, 2, 1, 2] + userProperty
        + userProperty
        + [0x0B, 0x80, 0x01, 0x03] + string("text/plain")

    static let valid5: [(name: String, bytes: [UInt8])] = [
        ("PUBLISH", publish(.v5_0)), ("PUBLISH of QoS 2", publish(.v5_0, qos: 2, publishProperties)),
        ("PUBLISH without payload", publish(.v5_0, qos: 1, payload: [])),
        ("PUBLISH of 300 bytes", publish(.v5_0, payload: [UInt8](repeating: 9, count: 300))),
        ("PUBACK", packet(0x40, [0, 7])), ("PUBACK with a reason", packet(0x40, [0, 7, 0x10])),
        ("PUBACK with properties", packet(0x40, [0, 7, 0x87] + properties([0x1F] + string("no")))),
        ("PUBREC", packet(0x50, [0, 7])), ("PUBREC refused", packet(0x50, [0, 7, 0x87, 0])),
        ("PUBREL", packet(0x62, [0, 7])), ("PUBCOMP", packet(0x70, [0, 7, 0x92, 0])),
        ("SUBACK", packet(0x90, [0, 7] + properties(userProperty) + [0, 1, 2, 0x87])),
        ("UNSUBACK", packet(0xB0, [0, 7, 0, 0x11])), ("PINGRESP", packet(0xD0, [])),
        ("AUTH", packet(0xF0, [0x18] + properties([0x15] + string("method")))),
        ("AUTH without a body", packet(0xF0, [])),
        ("DISCONNECT", packet(0xE0, [])), ("DISCONNECT with a reason", packet(0xE0, [0x8B])),
        (
            "DISCONNECT with properties",
            packet(0xE0, [0x9D] + properties([0x1F] + string("moved") + [0x1C] + string("b")))
        ),
    ]
    static let valid3: [(name: String, bytes: [UInt8])] = [
        ("PUBLISH", publish(.v3_1_1)), ("PUBLISH of QoS 2", publish(.v3_1_1, qos: 2)),
        ("PUBLISH without payload", publish(.v3_1_1, payload: [])), ("PUBACK", packet(0x40, [0, 7])),
        ("PUBREC", packet(0x50, [0, 7])), ("PUBREL", packet(0x62, [0, 7])), ("PUBCOMP", packet(0x70, [0, 7])),
        ("SUBACK", packet(0x90, [0, 7, 0, 1, 0x80])), ("UNSUBACK", packet(0xB0, [0, 7])),
        ("PINGRESP", packet(0xD0, [])),
    ]

    static func valid(_ version: MQTTVersion) -> [(name: String, bytes: [UInt8])] { version == .v5_0 ? valid5 : valid3 }

    static let invalid5: [(name: String, bytes: [UInt8])] = [
        ("PUBLISH of QoS 3", packet(0x36, [0, 1, 97, 0, 7, 0])), ("PUBLISH of one byte", packet(0x30, [0])),
        ("PUBLISH whose topic is too long", packet(0x30, [0, 9, 97, 0])),
        ("PUBLISH without properties", packet(0x30, [0, 1, 97])),
        ("PUBLISH without a packet identifier", packet(0x32, [0, 1, 97, 0])),
        ("PUBLISH whose properties are too long", packet(0x30, [0, 1, 97, 5, 0x01, 1])),
        ("PUBLISH that ends in a length", packet(0x30, [0, 1, 97, 0x80])),
        ("PUBLISH with an endless length", packet(0x30, [0, 1, 97, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])),
        ("PUBLISH with a property that is cut", packet(0x30, [0, 1, 97, 2, 0x02, 0])),
        ("PUBLISH with an unknown property", publish(.v5_0, [0x7F, 0])),
        ("PUBLISH with property 0", publish(.v5_0, [0x00])),
        ("PUBLISH with a property of CONNACK", publish(.v5_0, [0x24, 1])),
        ("PUBLISH with a property twice", publish(.v5_0, [0x01, 1, 0x01, 1])),
        ("SUBACK without a code", packet(0x90, [0, 7, 0])), ("UNSUBACK without a code", packet(0xB0, [0, 7, 0])),
        ("DISCONNECT with a session expiry interval", packet(0xE0, [0] + properties([0x11, 0, 0, 0, 1]))),
        ("a second CONNACK that refuses, with an unknown property", packet(0x20, [0, 0x87, 2, 0x7E, 0])),
        ("PUBLISH with a string that is cut", publish(.v5_0, [0x03, 0, 9, 97])),
        ("PUBLISH with a string without length", publish(.v5_0, [0x03, 0])),
        ("PUBLISH with a pair that is cut", publish(.v5_0, [0x26, 0, 1, 97, 0])),
        ("PUBLISH with a subscription identifier that is cut", publish(.v5_0, [0x0B, 0x80])),
        ("PUBACK of one byte", packet(0x40, [0])),
        ("PUBACK with an unknown property", packet(0x40, [0, 7, 0, 2, 0x04, 0])),
        ("PUBACK whose properties are too long", packet(0x40, [0, 7, 0, 9])),
        ("PUBACK with flags", packet(0x41, [0, 7])),
        ("PUBREL without its flag", packet(0x60, [0, 7])), ("SUBACK of two bytes", packet(0x90, [0, 7])),
        ("SUBACK with an unknown property", packet(0x90, [0, 7, 1, 0x7E, 0])),
        ("UNSUBACK of one byte", packet(0xB0, [0])),
        ("PINGRESP with a body", packet(0xD0, [0])), ("DISCONNECT with flags", packet(0xE1, [])),
        ("DISCONNECT whose properties are too long", packet(0xE0, [0, 9])),
        ("DISCONNECT with an unknown property", packet(0xE0, [0, 1, 0x05])),
        ("AUTH with an unknown property", packet(0xF0, [0, 1, 0x05])), ("type 0", packet(0x00, [])),
        ("CONNECT", packet(0x10, [])), ("SUBSCRIBE", packet(0x82, [0, 7])), ("UNSUBSCRIBE", packet(0xA2, [0, 7])),
        ("PINGREQ", packet(0xC0, [])), ("an endless remaining length", [0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ("a second CONNACK", connack(.v5_0)),
    ]
    static let invalid3: [(name: String, bytes: [UInt8])] = [
        ("PUBLISH of QoS 3", packet(0x36, [0, 1, 97, 0, 7])), ("PUBLISH of one byte", packet(0x30, [0])),
        ("PUBLISH whose topic is too long", packet(0x30, [0, 9, 97])),
        ("PUBLISH without a packet identifier", packet(0x32, [0, 1, 97, 0])), ("PUBACK of one byte", packet(0x40, [0])),
        ("PUBACK of three bytes", packet(0x40, [0, 7, 0])), ("PUBREL without its flag", packet(0x60, [0, 7])),
        ("SUBACK without a code", packet(0x90, [0, 7])), ("UNSUBACK of three bytes", packet(0xB0, [0, 7, 0])),
        ("PINGRESP with a body", packet(0xD0, [0])), ("DISCONNECT", packet(0xE0, [])), ("AUTH", packet(0xF0, [])),
        ("a second CONNACK", connack(.v3_1_1)),
    ]

    static func invalid(_ version: MQTTVersion) -> [(name: String, bytes: [UInt8])] {
        version == .v5_0 ? invalid5 : invalid3
    }
}
