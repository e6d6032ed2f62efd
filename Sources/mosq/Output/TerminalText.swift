// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Bytes of a message, made fit for a terminal: a publisher must not steer it.
enum TerminalText {
    /// Returns UTF-8 with characters that steer a terminal escaped, except line feeds and tabs; of other bytes each
    /// that is not ASCII becomes `\x` and two digits.
    static func escaping(_ bytes: some Collection<UInt8>) -> [UInt8] {
        if bytes.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x09 }) { return Array(bytes) }
        if let text = String(validating: bytes, as: UTF8.self) {
            return Array(ForeignText.escaping(text, exceptLineBreaks: true).utf8)
        }
        var result: [UInt8] = []
        for byte in bytes {
            if (0x20..<0x7F).contains(byte) || byte == 0x0A || byte == 0x09 {
                result.append(byte)
            } else {
                result += "\\x".utf8
                result += [Hex.lowercase[Int(byte / 16)], Hex.lowercase[Int(byte % 16)]]
            }
        }
        return result
    }
}
