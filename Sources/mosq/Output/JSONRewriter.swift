// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Reads JSON as cJSON does, which is a little more tolerant than RFC 8259, and writes it as cJSON prints what it has
/// read: numbers are doubles, text is unescaped and escaped again, members keep their order and repetitions.
struct JSONRewriter {
    private let input: [UInt8]
    private var position = 0
    private var depth = 0
    private var writer: JSONWriter

    /// Rewrites a whole text. Returns `nil` if the text is not JSON.
    static func write(_ input: [UInt8], to writer: JSONWriter) -> JSONWriter? {
        // cJSON would stop there.
        if input.contains(0) { return nil }
        var rewriter = JSONRewriter(input: input, writer: writer)
        if input.starts(with: [0xEF, 0xBB, 0xBF]) { rewriter.position = 3 }
        rewriter.skipSpace()
        guard rewriter.value() else { return nil }
        rewriter.skipSpace()
        return rewriter.position == input.count ? rewriter.writer : nil
    }

    private init(input: [UInt8], writer: JSONWriter) {
        self.input = input
        self.writer = writer
    }

    private var next: UInt8? { position < input.count ? input[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    /// cJSON treats all control characters as space.
    private mutating func skipSpace() {
        while let byte = next, byte <= 0x20 { position += 1 }
    }

    private mutating func value() -> Bool {
        switch next {
        case UInt8(ascii: "n"): return word("null")
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "\""):
            guard let text = string() else { return false }
            writer.string(text)
            return true
        case UInt8(ascii: "["): return array()
        case UInt8(ascii: "{"): return object()
        case UInt8(ascii: "-")?, (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return number()
        default: return false
        }
    }

    private mutating func word(_ word: StaticString) -> Bool {
        let word = word.withUTF8Buffer { Array($0) }
        guard input[position...].starts(with: word) else { return false }
        position += word.count
        writer.literal(word)
        return true
    }

    private mutating func array() -> Bool {
        guard enter() else { return false }
        writer.beginArray()
        if next != UInt8(ascii: "]") {
            repeat {
                skipSpace()
                writer.element()
                guard value() else { return false }
                skipSpace()
            } while take(UInt8(ascii: ","))
        }
        guard take(UInt8(ascii: "]")) else { return false }
        depth -= 1
        writer.endArray()
        return true
    }

    private mutating func object() -> Bool {
        guard enter() else { return false }
        writer.beginObject()
        if next != UInt8(ascii: "}") {
            repeat {
                skipSpace()
                guard next == UInt8(ascii: "\""), let name = string() else { return false }
                writer.member(name)
                skipSpace()
                guard take(UInt8(ascii: ":")) else { return false }
                skipSpace()
                guard value() else { return false }
                skipSpace()
            } while take(UInt8(ascii: ","))
        }
        guard take(UInt8(ascii: "}")) else { return false }
        depth -= 1
        writer.endObject()
        return true
    }

    /// Steps over a bracket. CJSON_NESTING_LIMIT is 1000.
    private mutating func enter() -> Bool {
        if depth >= 1_000 { return false }
        depth += 1
        position += 1
        skipSpace()
        return true
    }

    // MARK: Text

    private mutating func string() -> [UInt8]? {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"):
                guard let escape = next else { return nil }
                position += 1
                guard let bytes = unescaped(escape) else { return nil }
                text += bytes
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func unescaped(_ escape: UInt8) -> [UInt8]? {
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): [escape]
        case UInt8(ascii: "b"): [0x08]
        case UInt8(ascii: "f"): [0x0C]
        case UInt8(ascii: "n"): [0x0A]
        case UInt8(ascii: "r"): [0x0D]
        case UInt8(ascii: "t"): [0x09]
        case UInt8(ascii: "u"): unicode()
        default: nil
        }
    }

    /// Reads the rest of `\uXXXX` after the `u`, and the second half of a surrogate pair.
    private mutating func unicode() -> [UInt8]? {
        guard let first = codeUnit() else { return nil }
        if !UTF16.isSurrogate(first) { return Unicode.Scalar(first).map { Array(String(Character($0)).utf8) } }
        guard UTF16.isLeadSurrogate(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")),
            let second = codeUnit(), UTF16.isTrailSurrogate(second)
        else { return nil }
        return Array(String(decoding: [first, second], as: UTF16.self).utf8)
    }

    /// Reads four hexadecimal digits, within the text. cJSON reads characters that are not digits as zero.
    private mutating func codeUnit() -> UInt16? {
        guard position + 4 <= input.count else { return nil }
        let digits = input[position..<position + 4]
        guard !digits.contains(UInt8(ascii: "\"")) else { return nil }
        position += 4
        let isNumber = digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }
        return isNumber ? UInt16(String(decoding: digits, as: UTF8.self), radix: 16) : 0
    }

    // MARK: Numbers

    private mutating func number() -> Bool {
        var digits: [CChar] = []
        // cJSON's buffer has 64 bytes.
        while digits.count < 63, position + digits.count < input.count,
            Self.numberBytes.contains(input[position + digits.count])
        {
            digits.append(CChar(bitPattern: input[position + digits.count]))
        }
        digits.append(0)
        var number = 0.0
        let count = digits.withUnsafeBufferPointer { digits in
            var end: UnsafeMutablePointer<CChar>?
            guard let start = digits.baseAddress else { return 0 }
            number = strtod(start, &end)
            return end.map { UnsafePointer($0) - start } ?? 0
        }
        if count == 0 { return false }
        position += count
        writer.literal(Self.printed(number))
        return true
    }

    private static let numberBytes = Set("0123456789+-eE.".utf8)

    /// Prints 15 digits if they suffice, as cJSON's `print_number` does.
    private static func printed(_ number: Double) -> [UInt8] {
        if !number.isFinite { return Array("null".utf8) }
        // The magnitude: the least integer has no absolute value.
        if let integer = Int(exactly: number), integer.magnitude < 1_000_000_000_000_000, integer != 0 {
            return Array(String(integer).utf8)
        }
        let short = printed(number, "%1.15g")
        let again = short.withUnsafeBufferPointer { $0.baseAddress.map { strtod($0, nil) } } ?? 0
        let isExact = abs(again - number) <= max(abs(again), abs(number)) * Double.ulpOfOne
        return (isExact ? short : printed(number, "%1.17g")).dropLast().map { UInt8(bitPattern: $0) }
    }

    /// Returns the printed text with its NUL.
    private static func printed(_ number: Double, _ format: String) -> [CChar] {
        [CChar](unsafeUninitializedCapacity: 32) { buffer, count in
            count = Int(withVaList([number]) { vsnprintf(buffer.baseAddress, buffer.count, format, $0) }) + 1
        }
    }
}
