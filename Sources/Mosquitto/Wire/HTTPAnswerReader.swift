// SPDX-License-Identifier: Apache-2.0

/// Reads an HTTP answer piece by piece: its head, and the beginning of its body. A value without I/O.
struct HTTPAnswerReader: Sendable {
    /// The number of bytes of a body that are kept; the answer ends with them.
    static let maximumBody = 8_192

    private var parser = HTTPHeadParser()
    /// The body as received, chunks included.
    private var content: [UInt8] = []
    private var contentLength: Int?
    private var isChunked = false
    private(set) var isComplete = false

    /// The head, once it is complete.
    var head: HTTPResponseHead? { parser.head }

    /// The body so far.
    var body: [UInt8] { isChunked ? Self.unchunked(content).body : content }

    /// Reads bytes up to the end of the answer. Returns the number of bytes that belong to it.
    mutating func read(_ bytes: UnsafeRawBufferPointer) throws(HTTPHeadParser.Failure) -> Int {
        var used = 0
        if parser.head == nil {
            used = try parser.consume(bytes)
            if let head = parser.head { begin(head) }
        }
        guard parser.head != nil, !isComplete else { return used }
        let limit = min(contentLength ?? Self.maximumBody, Self.maximumBody)
        let count = min(bytes.count - used, limit - content.count)
        content += bytes[used..<used + count]
        isComplete = content.count >= limit || isChunked && Self.unchunked(content).isComplete
        return used + count
    }

    private mutating func begin(_ head: HTTPResponseHead) {
        isChunked = head.lists("chunked", in: "Transfer-Encoding")
        // RFC 9112, section 6.3.
        if !isChunked { contentLength = head.values(of: "Content-Length").first.flatMap { Int($0) }.map { max(0, $0) } }
        isComplete = [101, 204, 304].contains(head.status) || contentLength == 0
    }

    /// Decodes chunks (RFC 9112, section 7.1), as far as they have arrived.
    private static func unchunked(_ content: [UInt8]) -> (body: [UInt8], isComplete: Bool) {
        var body: [UInt8] = []
        var rest = content[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: rest[..<end], as: UTF8.self).prefix { $0.isHexDigit }
            guard let size = Int(line, radix: 16), size > 0 else { return (body, true) }
            rest = rest[(end + 1)...]
            body += rest.prefix(size)
            // The line break behind the chunk too.
            guard rest.count - 2 >= size else { return (body, false) }
            rest = rest.dropFirst(size + 2)
        }
        return (body, false)
    }
}
