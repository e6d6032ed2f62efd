// SPDX-License-Identifier: Apache-2.0

/// Puts the bytes of a stream together to MQTT packets, and passes those before the first one that is to end it.
struct PacketFilter {
    private let decide: @Sendable (_ packet: [UInt8]) -> TCPProxy.Verdict
    private var rest: [UInt8] = []
    /// True if a packet has been withheld. No further packet passes.
    private(set) var hasRejected = false
    private var answer: [UInt8]?

    init(_ decide: @escaping @Sendable (_ packet: [UInt8]) -> TCPProxy.Verdict) { self.decide = decide }

    /// Returns the bytes of the packets that are whole with these bytes, and pass.
    mutating func pass(_ bytes: [UInt8]) -> [UInt8] {
        rest += bytes
        var passed: [UInt8] = []
        while !hasRejected, let length = Self.length(rest), rest.count >= length {
            let packet = Array(rest[..<length])
            rest.removeFirst(length)
            switch decide(packet) {
            case .pass: passed += packet
            case .end(let answer): (hasRejected, self.answer) = (true, answer)
            }
        }
        return passed
    }

    /// Returns the answer to the packet that has been withheld, once.
    mutating func takeAnswer() -> [UInt8]? {
        defer { answer = nil }
        return answer
    }

    /// MQTT 5.0, section 2.1.4. `nil` if the header is not whole.
    private static func length(_ bytes: [UInt8]) -> Int? {
        var value = 0
        for index in 1..<5 where index < bytes.count {
            value |= Int(bytes[index] & 0x7F) << (7 * (index - 1))
            if bytes[index] & 0x80 == 0 { return 1 + index + value }
        }
        return nil
    }
}
