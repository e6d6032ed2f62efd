// SPDX-License-Identifier: Apache-2.0

/// Writes JSON as cJSON prints it, on one line or with tabs and newlines. The output is identical byte for byte.
///
/// Text is a sequence of bytes here: what is not UTF-8 becomes U+FFFD, and a NUL ends the text.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private let isPretty: Bool
    private var depth = 0
    /// True if the innermost open array or object has a member already.
    private var hasMembers = false

    init(isPretty: Bool) { self.isPretty = isPretty }

    mutating func beginObject() {
        bytes.append(UInt8(ascii: "{"))
        if isPretty { bytes.append(UInt8(ascii: "\n")) }
        begin()
    }

    mutating func endObject() {
        depth -= 1
        if isPretty {
            if hasMembers { bytes.append(UInt8(ascii: "\n")) }
            indent()
        }
        bytes.append(UInt8(ascii: "}"))
        hasMembers = true
    }

    /// Begins an object member; the next value written belongs to it.
    mutating func member(_ name: String) { member(name.utf8) }

    mutating func member(_ name: some Sequence<UInt8>) {
        if hasMembers {
            bytes.append(UInt8(ascii: ","))
            if isPretty { bytes.append(UInt8(ascii: "\n")) }
        }
        if isPretty { indent() }
        string(name)
        bytes.append(UInt8(ascii: ":"))
        if isPretty { bytes.append(UInt8(ascii: "\t")) }
    }

    mutating func beginArray() {
        bytes.append(UInt8(ascii: "["))
        begin()
    }

    mutating func endArray() {
        depth -= 1
        bytes.append(UInt8(ascii: "]"))
        hasMembers = true
    }

    /// Begins an array element; the next value written is this element.
    mutating func element() {
        guard hasMembers else { return }
        bytes.append(UInt8(ascii: ","))
        if isPretty { bytes.append(UInt8(ascii: " ")) }
    }

    /// A number, `true`, `false` or `null`.
    mutating func literal(_ text: some Sequence<UInt8>) {
        bytes.append(contentsOf: text)
        hasMembers = true
    }

    mutating func number(_ value: Int) { literal(String(value).utf8) }

    mutating func string(_ text: some Sequence<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        let text = text.prefix { $0 != 0 }
        if String(validating: text, as: UTF8.self) != nil {
            for byte in text { append(escaping: byte) }
        } else {
            // RFC 8259, section 8.1: JSON is UTF-8. mosquitto's commands write the bytes as they are.
            for byte in String(decoding: text, as: UTF8.self).utf8 { append(escaping: byte) }
        }
        bytes.append(UInt8(ascii: "\""))
        hasMembers = true
    }

    private mutating func append(escaping byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
        case 0x08: bytes += Array("\\b".utf8)
        case 0x09: bytes += Array("\\t".utf8)
        case 0x0A: bytes += Array("\\n".utf8)
        case 0x0C: bytes += Array("\\f".utf8)
        case 0x0D: bytes += Array("\\r".utf8)
        case 0..<0x20:
            bytes += Array("\\u00".utf8)
            bytes.append(UInt8(ascii: "0") + byte / 16)
            bytes.append(Hex.lowercase[Int(byte % 16)])
        default: bytes.append(byte)
        }
    }

    private mutating func begin() {
        depth += 1
        hasMembers = false
    }

    private mutating func indent() { bytes.append(contentsOf: repeatElement(UInt8(ascii: "\t"), count: depth)) }
}

enum Hex {
    static let lowercase = Array("0123456789abcdef".utf8)
    static let uppercase = Array("0123456789ABCDEF".utf8)
}
