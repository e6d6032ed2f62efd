// SPDX-License-Identifier: Apache-2.0

/// The frames that a client sends (RFC 6455, section 5.2): final, with a masked payload.
enum WebSocketFrame {
    enum Opcode: UInt8, Sendable {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    /// Size of the largest header.
    static let maximumHeader = 14

    /// Writes a header, with the key of the mask. Returns its size.
    static func writeHeader(
        _ opcode: Opcode, count: Int, key: UInt32, to buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        buffer[0] = 0x80 | opcode.rawValue
        var end = 2
        switch count {
        case ...125: buffer[1] = 0x80 | UInt8(count)
        case ...65_535:
            buffer[1] = 0x80 | 126
            buffer.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 2, as: UInt16.self)
            end = 4
        default:
            buffer[1] = 0x80 | 127
            buffer.storeBytes(of: UInt64(count).bigEndian, toByteOffset: 2, as: UInt64.self)
            end = 10
        }
        buffer.storeBytes(of: key, toByteOffset: end, as: UInt32.self)
        return end + 4
    }

    /// Masks bytes (RFC 6455, section 5.3), eight at a time. The position of the first one in its frame must be a
    /// multiple of four.
    static func mask(_ source: UnsafeRawBufferPointer, key: UInt32, into target: UnsafeMutableRawBufferPointer) {
        // The key is in memory as it is in the header, whatever the byte order of the machine.
        let word = UInt64(key) << 32 | UInt64(key)
        var offset = 0
        while offset + 8 <= source.count {
            let masked = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ word
            target.storeBytes(of: masked, toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        withUnsafeBytes(of: key) { key in
            while offset < source.count {
                target[offset] = source[offset] ^ key[offset & 3]
                offset += 1
            }
        }
    }

    /// Returns a control frame, with at most 125 bytes of payload.
    static func control(_ opcode: Opcode, _ payload: [UInt8], key: UInt32) -> [UInt8] {
        let payload = payload.prefix(125)
        return [UInt8](unsafeUninitializedCapacity: maximumHeader + payload.count) { buffer, initialized in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            let start = writeHeader(opcode, count: payload.count, key: key, to: bytes)
            payload.withUnsafeBytes {
                mask($0, key: key, into: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            }
            initialized = start + payload.count
        }
    }

    /// Returns the payload of a close frame.
    static func closePayload(_ code: UInt16) -> [UInt8] { [UInt8(code >> 8), UInt8(code & 0xFF)] }

    /// True for a code that may be sent (RFC 6455, section 7.4).
    static func isSent(_ code: UInt16) -> Bool {
        switch code {
        case 1_000...1_003, 1_007...1_014, 3_000...4_999: true
        default: false
        }
    }

    /// The name of a code in the registry of close codes.
    static func meaning(of code: UInt16) -> String? {
        switch code {
        case 1_000: "normal closure"
        case 1_001: "going away"
        case 1_002: "protocol error"
        case 1_003: "unsupported data"
        case 1_007: "invalid payload"
        case 1_008: "policy violation"
        case 1_009: "message too big"
        case 1_010: "extension required"
        case 1_011: "internal error"
        case 1_012: "service restart"
        case 1_013: "try again later"
        case 1_014: "bad gateway"
        default: nil
        }
    }
}

/// The keys that mask frames (RFC 6455, section 5.3): unpredictable, so that the peer of a script cannot choose the
/// bytes on the wire. Random bytes are requested for 64 frames at a time.
struct WebSocketMasks: Sendable {
    private var bytes: [UInt8] = []
    private let refill: @Sendable () -> [UInt8]

    /// - Parameter refill: returns random bytes, at least four.
    init(refill: @escaping @Sendable () -> [UInt8] = { RandomBytes.make(RandomBytes.limit) }) { self.refill = refill }

    mutating func next() -> UInt32 {
        if bytes.count < 4 { bytes = refill() }
        defer { bytes.removeLast(4) }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self) }
    }

    /// Releases the memory.
    mutating func rest() { bytes = [] }
}
