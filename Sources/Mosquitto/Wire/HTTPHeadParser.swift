// SPDX-License-Identifier: Apache-2.0

/// Parses the head of an HTTP/1.x response, in pieces of any size (RFC 9112). Interim responses (1xx except 101) are
/// skipped. No memory is allocated beyond the bytes that have arrived, of which ``limit`` is the maximum.
struct HTTPHeadParser: Sendable {
    /// The reason for which a head cannot be parsed.
    enum Failure: Error, Sendable, Hashable {
        /// The first bytes are not those of an HTTP/1.x response.
        case notHTTP
        /// A line of the head breaks the rules of RFC 9112.
        case malformed
        /// The head, with the interim responses before it, has more bytes than the limit.
        case tooLarge
    }

    /// Maximum number of bytes of a head.
    static let limit = 16_384

    /// The head, once its empty line was consumed.
    private(set) var head: HTTPResponseHead?

    private let limit: Int
    private var size = 0
    /// The bytes of an incomplete line.
    private var line: [UInt8] = []
    /// The head in progress, from its status line on.
    private var partial: HTTPResponseHead?

    init(limit: Int = Self.limit) { self.limit = limit }

    /// Parses bytes, up to the end of the head. Returns the number of bytes that belong to the head: the others belong
    /// to the body, or to the next protocol. Must not be called after a failure.
    mutating func consume(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Int {
        var consumed = 0
        while head == nil, consumed < bytes.count {
            let byte = bytes[consumed]
            consumed += 1
            size += 1
            if byte == UInt8(ascii: "\n") {
                // RFC 9112, section 2.2: a recipient may accept a line feed alone.
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                try endLine()
                line.removeAll(keepingCapacity: true)
            } else {
                line.append(byte)
                // A server of another protocol may never send a line feed.
                if partial == nil, !isPlausible { throw .notHTTP }
            }
            if size >= limit, head == nil { throw .tooLarge }
        }
        return consumed
    }

    private static let version = Array("HTTP/1.".utf8)

    private var isPlausible: Bool {
        line.count > Self.version.count || Self.version.starts(with: line)
    }

    private mutating func endLine() throws(Failure) {
        guard partial != nil else {
            partial = try Self.statusLine(line)
            return
        }
        if line.isEmpty {
            // RFC 9110, section 15.2: any number of interim responses may come first.
            if let status = partial?.status, (100...199).contains(status), status != 101 {
                partial = nil
            } else {
                head = partial
            }
            return
        }
        if line[0] == UInt8(ascii: " ") || line[0] == UInt8(ascii: "\t") {
            try unfold()
        } else {
            partial?.fields.append(try Self.field(line))
        }
    }

    /// `HTTP/1.1 407 Proxy Authentication Required`; the reason phrase may be missing.
    private static func statusLine(_ line: [UInt8]) throws(Failure) -> HTTPResponseHead {
        let space = UInt8(ascii: " ")
        guard line.count > version.count, line.starts(with: version) else { throw .notHTTP }
        guard line.count >= 12, let minor = digit(line[7]), line[8] == space, let hundreds = digit(line[9]),
            let tens = digit(line[10]), let ones = digit(line[11]), hundreds > 0
        else { throw .malformed }
        guard line.count == 12 || line[12] == space else { throw .malformed }
        return HTTPResponseHead(
            minorVersion: minor, status: hundreds * 100 + tens * 10 + ones, reason: try text(line.dropFirst(13)))
    }

    /// `Name: value` (RFC 9112, section 5). White space before the colon is refused, as section 5.1 demands of servers.
    private static func field(_ line: [UInt8]) throws(Failure) -> HTTPResponseHead.Field {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0, line[..<colon].allSatisfy(isTokenCharacter)
        else { throw .malformed }
        return HTTPResponseHead.Field(
            name: String(decoding: line[..<colon], as: UTF8.self), value: try text(line[(colon + 1)...]))
    }

    /// Appends a continuation line to the last field, as a space (RFC 9112, section 5.2).
    private mutating func unfold() throws(Failure) {
        guard let last = partial?.fields.indices.last else { throw .malformed }
        let more = try Self.text(line[...])
        if !more.isEmpty { partial?.fields[last].value += " " + more }
    }

    /// Returns text without the white space around it. RFC 9110, section 5.5: CR and NUL are dangerous, other control
    /// characters invalid; bytes above ASCII are opaque.
    private static func text(_ bytes: ArraySlice<UInt8>) throws(Failure) -> String {
        var bytes = bytes.drop(while: isWhiteSpace)
        while let last = bytes.last, isWhiteSpace(last) { bytes = bytes.dropLast() }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }) else { throw .malformed }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isWhiteSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func digit(_ byte: UInt8) -> Int? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
    }

    /// True for a character of a field's name (RFC 9110, section 5.6.2).
    static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
