// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// The results of one run that are compared.
struct Outcome: Equatable, Sendable {
    var status: Int32
    var wasKilled: Bool
    var output: String
    /// The packets that the recording broker received.
    var packets: [String]

    init(_ end: ClientEnd, packets: [ReceivedPacket], varies: Set<Row.Variation>) {
        status = varies.contains(.failureStatus) && end.status != 0 ? 1 : end.status
        wasKilled = end.wasKilled
        let bytes = varies.contains(.encoding) ? Array(String(decoding: end.output, as: UTF8.self).utf8) : end.output
        var output = Self.text(bytes).replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?/, with: "TIME")
        if varies.contains(.digits) { output.replace(/\d/, with: "0") }
        self.output = output
        let counting = packets.filter { !varies.contains(.farewell) || !Self.farewell.contains($0.type) }
        self.packets = counting.map { packet in
            let bytes =
                varies.contains(.clientID) && packet.type == .connect
                ? Self.withoutClientID(packet.bytes) : packet.bytes
            return "\(packet.connection) \(packet.type.map { "\($0)" } ?? "?") \(Self.text(bytes))"
        }
        if varies.contains(.order) { self.packets.sort() }
    }

    private static let farewell: Set<ReceivedPacketType?> = [.disconnect, .puback, .pubrec, .pubcomp]

    /// Printable characters as they are, all other bytes in hexadecimal.
    private static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            switch byte {
            case 0x0A: "\n"
            case 0x20..<0x7F where byte != UInt8(ascii: "\\"): String(Unicode.Scalar(byte))
            default: "\\" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }.joined()
    }

    /// The fixed and the variable header of a CONNECT, without its length.
    private static func withoutClientID(_ packet: [UInt8]) -> [UInt8] {
        // A ClientHello looks like one.
        guard packet.first == 0x10 else { return [] }
        let start = 1 + packet.dropFirst().prefix { $0 >= 0x80 }.count + 1
        var end = start + 10
        // MQTT 5.0: the properties, here always shorter than 128 bytes.
        if packet[start + 6] == 5 { end += 1 + Int(packet[start + 10]) }
        return Array(packet[start..<end])
    }
}

extension Outcome: CustomStringConvertible {
    var description: String {
        let end = "status \(status)" + (wasKilled ? " (killed)" : "")
        return "\(end), output:\n\(output)\npackets:\n\(packets.joined(separator: "\n"))\n"
    }
}
