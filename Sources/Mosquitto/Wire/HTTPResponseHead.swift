// SPDX-License-Identifier: Apache-2.0

/// The head of an HTTP/1.x response: its status line and its header fields (RFC 9112). The text is the server's, and is
/// not escaped: ``ForeignText`` has to, before a message contains any of it.
struct HTTPResponseHead: Sendable, Hashable {
    struct Field: Sendable, Hashable {
        /// The name as sent; names are compared without regard to case (RFC 9110, section 5.1).
        var name: String
        /// The value, without the white space around it.
        var value: String
    }

    /// The version after `HTTP/1.`.
    var minorVersion: Int
    /// The status, 100 to 999.
    var status: Int
    /// The reason phrase, which may be empty.
    var reason: String
    /// The fields in their order, a name as often as it was sent.
    var fields: [Field] = []

    /// Returns the values of the fields with this name, joined with commas (RFC 9110, section 5.3); `nil` if there are
    /// none.
    subscript(name: String) -> String? {
        let values = values(of: name)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    /// Returns the values of the fields with this name, in their order.
    func values(of name: String) -> [String] {
        fields.filter { Self.areSame($0.name, name) }.map(\.value)
    }

    /// Returns true if a list such as `Connection: keep-alive, Upgrade` contains the token, in any case.
    func lists(_ token: String, in name: String) -> Bool {
        values(of: name).contains { value in
            value.split(separator: ",").contains { Self.areSame(Self.trimmed($0), token) }
        }
    }

    /// Compares ASCII without regard to case.
    private static func areSame(_ one: some StringProtocol, _ other: some StringProtocol) -> Bool {
        one.utf8.elementsEqual(other.utf8) { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return text
    }
}
