// SPDX-License-Identifier: Apache-2.0

/// Text from outside, made fit for logs, terminals and JSON: a certificate, a broker, an issuer or a program may have
/// written it, before anybody has verified who that is.
///
/// Characters that steer a terminal, break a line or change the direction of text are escaped in Swift's form, such as
/// `\r` and `\u{9B}`: control characters (C0, C1), format characters (bidirectional controls among them), line and
/// paragraph separators, private and unassigned ones. The result has at most ``limit`` bytes and ends with "…" if the
/// text was longer. Text is escaped once, where it enters an error, an event or a log line.
package struct ForeignText: Sendable, Hashable, CustomStringConvertible {
    /// The largest number of bytes of UTF-8.
    package static let limit = 1_024

    package let description: String

    package init(_ text: some StringProtocol, limit: Int = Self.limit) {
        let scalars = text.unicodeScalars
        // Short text without such characters is by far the most frequent.
        if text.utf8.count <= limit, !scalars.contains(where: Self.isUnprintable) {
            description = String(text)
            return
        }
        let ellipsis = "…"
        var result = ""
        for scalar in scalars {
            let shown = Self.isUnprintable(scalar) ? Self.escaped(scalar) : String(scalar)
            guard result.utf8.count + shown.utf8.count <= limit - ellipsis.utf8.count else {
                description = result + ellipsis
                return
            }
            result += shown
        }
        description = result
    }

    /// Returns text that is not cut, for output whose length is the user's affair.
    ///
    /// - Parameter exceptLineBreaks: true to keep line feeds and tabs.
    package static func escaping(_ text: String, exceptLineBreaks: Bool = false) -> String {
        func isKept(_ scalar: Unicode.Scalar) -> Bool {
            !isUnprintable(scalar) || exceptLineBreaks && (scalar == "\n" || scalar == "\t")
        }
        if text.unicodeScalars.allSatisfy(isKept) { return text }
        return text.unicodeScalars.reduce(into: "") { $0 += isKept($1) ? String($1) : escaped($1) }
    }

    package static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        if (0x20..<0x7F).contains(scalar.value) { return false }
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": #"\n"#
        case "\r": #"\r"#
        case "\t": #"\t"#
        default: #"\u{"# + String(scalar.value, radix: 16, uppercase: true) + "}"
        }
    }
}

/// Returns a text in quotation marks, printable, and of at most 80 characters.
func quoted(_ text: String) -> String {
    let scalars = text.unicodeScalars
    let shown = ForeignText.escaping(String(String.UnicodeScalarView(scalars.prefix(80))))
    return "\"" + shown + (scalars.count > 80 ? "…\"" : "\"")
}
