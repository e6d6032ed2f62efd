// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

/// The frames of a server, well formed or not, and the payload that a decoder returns for them.
enum ServerFrames {
    static func frame(
        _ opcode: UInt8 = 2, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0, mask: Bool = false,
        width: Int? = nil
    ) -> [UInt8] {
        let width = width ?? (payload.count <= 125 ? 0 : payload.count <= 65_535 ? 2 : 8)
        return header(
            opcode, length: UInt64(payload.count), isFinal: isFinal, reserved: reserved, mask: mask, width: width)
            + payload
    }

    static func header(
        _ opcode: UInt8, length: UInt64, isFinal: Bool = true, reserved: UInt8 = 0, mask: Bool = false, width: Int
    ) -> [UInt8] {
        let marker = width == 0 ? UInt8(length) : width == 2 ? 126 : 127
        let extended = (0..<width).reversed().map { UInt8(truncatingIfNeeded: length >> UInt64(8 * $0)) }
        return [(isFinal ? 0x80 : 0) | reserved << 4 | opcode, (mask ? 0x80 : 0) | marker] + extended
    }

    static func close(_ code: UInt16, _ reason: String = "") -> [UInt8] {
        frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
    }
}

extension WebSocketFrameDecoder {
    /// Decodes bytes in pieces of this size. Returns the payload.
    mutating func decode(_ bytes: [UInt8], pieceSize: Int = .max) -> [UInt8] {
        var payload: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            payload += decode(piece: Array(rest.prefix(pieceSize)))
            rest = rest.dropFirst(pieceSize)
        }
        return payload
    }

    mutating func decode(piece: [UInt8]) -> [UInt8] {
        var piece = piece
        let count = piece.withUnsafeMutableBytes { decode($0) }
        return Array(piece[..<count])
    }
}
