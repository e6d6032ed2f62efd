// SPDX-License-Identifier: Apache-2.0

/// Text around a token that editors, copying and logs add, and that no broker accepts.
package enum TokenText {
    /// Returns the token without a byte order mark (U+FEFF) before it and without newlines (LF or CR LF) after it. No
    /// token has these.
    package static func trimmed<Bytes: BidirectionalCollection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
        let rest = bytes.starts(with: byteOrderMark) ? bytes.dropFirst(byteOrderMark.count) : bytes[...]
        guard let end = rest.lastIndex(where: { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }) else {
            return rest.prefix(0)
        }
        return rest[...end]
    }

    /// Returns the flaw of a token or password that its author hardly meant, as the end of a sentence whose subject is
    /// the token; `nil` if there is none. The text contains nothing of the token.
    package static func flaw(_ bytes: some BidirectionalCollection<UInt8>) -> String? {
        guard let first = bytes.first, let last = bytes.last else { return nil }
        if bytes.starts(with: byteOrderMark) { return "begins with a byte order mark (U+FEFF): leave it out" }
        if beginsWithScheme(bytes) { return "begins with \"Bearer\": leave the scheme out" }
        if isSpace(first) || isSpace(last) { return "has white space or a newline around it: leave that out" }
        if bytes.count > 1, first == last, [UInt8(ascii: "\""), UInt8(ascii: "'")].contains(first) {
            return "has quotes around it: leave them out"
        }
        return nil
    }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// RFC 6750, section 2.1: "Authorization: Bearer ", or only the scheme.
    private static func beginsWithScheme(_ bytes: some Collection<UInt8>) -> Bool {
        let words = bytes.prefix(64).split(maxSplits: 2) { isSpace($0) }.map { String(decoding: $0, as: UTF8.self) }
        guard words.count > 1 else { return false }
        let names = words.map { $0.lowercased() }
        return names[0] == "bearer" || names[0] == "authorization:" && names[1] == "bearer"
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte) }
}
