/// The one packet that is not libmosquitto's: AUTH (MQTT 5.0, section 3.15).
enum AuthenticationPacket {
    static func bytes(_ reasonCode: UInt8, method: String, data: [UInt8]?) -> [UInt8] {
        var properties: [UInt8] = [0x15] + prefixed(Array(method.utf8))
        if let data { properties += [0x16] + prefixed(data) }
        let body = [reasonCode] + variableByteInteger(properties.count) + properties
        return [0xF0] + variableByteInteger(body.count) + body
    }

    private static func prefixed(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)] + bytes
    }

    /// Section 1.5.5.
    private static func variableByteInteger(_ value: Int) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            let digit = UInt8(rest & 0x7F)
            rest >>= 7
            bytes.append(rest > 0 ? digit | 0x80 : digit)
        } while rest > 0
        return bytes
    }
}
