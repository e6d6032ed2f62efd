// SPDX-License-Identifier: Apache-2.0

/// Packets of a client, in wire format.
enum Bytes {
    static func connect(
        _ clientID: String,
        level: UInt8 = 4,
        clean: Bool = true,
        password: String? = nil,
        will: (topic: String, payload: String)? = nil,
        properties: [UInt8] = []
    ) -> [UInt8] {
        var flags: UInt8 = clean ? 0x02 : 0
        if will != nil { flags |= 0x04 }
        if password != nil { flags |= 0xC0 }
        var body = text("MQTT") + [level, flags, 0, 60]
        if level == 5 { body += [UInt8(properties.count)] + properties }
        body += text(clientID)
        if let will {
            if level == 5 { body += [0] }
            body += text(will.topic) + text(will.payload)
        }
        if let password { body += text("user") + text(password) }
        return packet(0x10, body)
    }

    static func subscribe(_ filter: String, qos: UInt8, id: UInt8 = 1) -> [UInt8] {
        packet(0x82, [0, id] + text(filter) + [qos])
    }

    static func publish(_ topic: String, _ payload: String, qos: UInt8 = 0, id: UInt8 = 1, dup: Bool = false) -> [UInt8]
    {
        packet(0x30 | qos << 1 | (dup ? 8 : 0), text(topic) + (qos > 0 ? [0, id] : []) + Array(payload.utf8))
    }

    static func packet(_ header: UInt8, _ body: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = body.count
        repeat {
            length.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return [header] + length + body
    }

    static func text(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + Array(text.utf8)
    }
}
