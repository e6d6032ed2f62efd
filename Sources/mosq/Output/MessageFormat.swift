// SPDX-License-Identifier: Apache-2.0

/// A parsed format of `-F`: the segments that are printed for each message.
///
/// The parser accepts the same formats as `check_format` in mosquitto's `client_shared.c` (2.0.11), and reads them as
/// `formatted_print` in its `sub_client_output.c` does.
struct MessageFormat: Equatable, Sendable {
    enum Segment: Equatable, Sendable {
        case literal([UInt8])
        case field(Field, Layout)
        /// `@`: the text that `strftime` prints for this conversion character.
        case time(UInt8)
        /// `@N`: the nanoseconds of the second, nine digits.
        case nanoseconds
    }

    /// The character after `%`, which selects a field of the message.
    enum Field: Character, Sendable {
        case topicAlias = "A"
        case contentType = "C"
        case correlationData = "D"
        case messageExpiryInterval = "E"
        case payloadFormatIndicator = "F"
        case isoTime = "I"
        case json = "j"
        case jsonOfJSON = "J"
        case payloadLength = "l"
        case packetIdentifier = "m"
        case payload = "p"
        case userProperties = "P"
        case qos = "q"
        case responseTopic = "R"
        case retain = "r"
        case subscriptionIdentifier = "S"
        case topic = "t"
        case unixTime = "U"
        case lowercaseHex = "x"
        case uppercaseHex = "X"

        var needsTime: Bool { [.isoTime, .json, .jsonOfJSON, .unixTime].contains(self) }
    }

    /// The flags, width and precision between `%` and the field's character. Not every field uses all of them.
    struct Layout: Equatable, Sendable {
        var isLeftAligned = false
        var padsWithZeros = false
        /// The width in bytes, not characters; 0 for none.
        var width = 0
        var precision: Int?
    }

    private(set) var segments: [Segment] = []
    /// True if the format prints a time, so that the clock must be read for each message.
    private(set) var needsTime = false

    /// - Throws: a ``CommandFailure`` that names the error in the format.
    init(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        var literal: [UInt8] = []
        while let byte = rest.popFirst() {
            let segment: Segment? =
                switch byte {
                case UInt8(ascii: "%"): try Self.field(&rest, of: text)
                case UInt8(ascii: "@"): try Self.time(&rest, of: text)
                case UInt8(ascii: "\\"): .literal([try Self.escape(&rest, of: text)])
                default: .literal([byte])
                }
            switch segment {
            case .literal(let bytes)?: literal += bytes
            case let segment?:
                if !literal.isEmpty { segments.append(.literal(literal)) }
                literal = []
                segments.append(segment)
                needsTime = needsTime || segment.needsTime
            case nil: break
            }
        }
        if !literal.isEmpty { segments.append(.literal(literal)) }
    }

    private static func field(_ rest: inout ArraySlice<UInt8>, of text: String) throws -> Segment {
        var layout = Layout()
        // One flag; a zero after a minus begins the width, but still takes effect.
        if rest.first == UInt8(ascii: "-") {
            layout.isLeftAligned = true
            rest.removeFirst()
        }
        layout.padsWithZeros = rest.first == UInt8(ascii: "0")
        layout.width = try number(&rest, of: text)
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            layout.precision = try number(&rest, of: text)
        }
        guard let byte = rest.first else { throw incomplete("format", text) }
        let character = Character(Unicode.Scalar(byte))
        if character == "%" {
            rest.removeFirst()
            return .literal([byte])
        }
        guard let field = Field(rawValue: character) else { throw invalid("format", rest, text) }
        rest.removeFirst()
        return .field(field, layout)
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, of text: String) throws -> Int {
        var number = 0
        while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
            // C's printf has the same limit.
            if number > Int(Int32.max) {
                throw CommandFailure.usage("The width or precision in -F '\(text)' is too large.")
            }
            rest.removeFirst()
        }
        return number
    }

    private static func time(_ rest: inout ArraySlice<UInt8>, of text: String) throws -> Segment {
        guard let byte = rest.popFirst() else { throw incomplete("format", text) }
        switch byte {
        case UInt8(ascii: "@"): return .literal([byte])
        case UInt8(ascii: "N"): return .nanoseconds
        default: return .time(byte)
        }
    }

    private static func escape(_ rest: inout ArraySlice<UInt8>, of text: String) throws -> UInt8 {
        guard let byte = rest.first else { throw incomplete("escape", text) }
        guard let escaped = escapes[byte] else { throw invalid("escape", rest, text) }
        rest.removeFirst()
        return escaped
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\\"): UInt8(ascii: "\\"), UInt8(ascii: "0"): 0x00, UInt8(ascii: "a"): 0x07,
        UInt8(ascii: "e"): 0x1B, UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
        UInt8(ascii: "v"): 0x0B,
    ]

    private static func incomplete(_ kind: String, _ text: String) -> CommandFailure {
        CommandFailure.usage("Incomplete \(kind) specifier in -F '\(text)'.")
    }

    private static func invalid(_ kind: String, _ rest: ArraySlice<UInt8>, _ text: String) -> CommandFailure {
        let character = String(decoding: rest, as: UTF8.self).prefix(1)
        return CommandFailure.usage("Invalid \(kind) specifier '\(character)' in -F '\(text)'.")
    }
}

extension MessageFormat.Segment {
    fileprivate var needsTime: Bool {
        switch self {
        case .literal: false
        case .field(let field, _): field.needsTime
        case .time, .nanoseconds: true
        }
    }
}
