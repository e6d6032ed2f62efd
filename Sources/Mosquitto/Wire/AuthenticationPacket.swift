/// AUTH (MQTT 5.0, section 3.15), which libmosquitto cannot send.
enum AuthenticationPacket {
    static func bytes(_ reasonCode: UInt8, method: String, data: [UInt8]?) -> [UInt8] {
        var properties = PropertyWriter()
        properties.add(0x15, string: method)
        if let data { properties.add(0x16, binary: data) }
        var body = [reasonCode]
        VariableByteInteger.append(properties.bytes.count, to: &body)
        body += properties.bytes
        var packet: [UInt8] = [0xF0]
        VariableByteInteger.append(body.count, to: &packet)
        return packet + body
    }
}
