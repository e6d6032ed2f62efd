// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Removes secrets and unprintable characters from foreign text, so that it can be logged.
enum Redaction {
    /// Returns text of an issuer without these secrets and without JWTs, at most 200 printable characters.
    static func printable(_ text: String, without secrets: [String] = []) -> String {
        let open = QuotedSecrets(secrets, shortest: 1).redacted(text)
        return String(words(of: open, isSecret: mayBeJWT).unicodeScalars.prefix(200))
    }

    /// Returns a program's standard error without words that may be tokens, at most 400 printable characters.
    static func standardError(_ bytes: [UInt8], without secrets: [String] = []) -> String {
        let open = QuotedSecrets(secrets, shortest: 4).redacted(String(decoding: bytes, as: UTF8.self))
        return String(words(of: open) { $0.utf8.count > 40 || mayBeJWT($0) }.unicodeScalars.prefix(400))
    }

    /// Returns the words, separated by single spaces. Characters that would break a log line or change its direction
    /// count as spaces.
    private static func words(of text: String, isSecret: (Substring) -> Bool) -> String {
        let visible = String(String.UnicodeScalarView(text.unicodeScalars.map { isVisible($0) ? $0 : " " }))
        return visible.split(separator: " ").map { isSecret($0) ? QuotedSecrets.mark[...] : $0 }.joined(separator: " ")
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        !ForeignText.isUnprintable(scalar) && scalar.properties.generalCategory != .spaceSeparator
    }

    /// Returns true for a word that may be a JWT: its header is a JSON object (RFC 7519, section 3), and
    /// `{"` begins with these letters in base64url.
    private static func mayBeJWT(_ word: Substring) -> Bool { word.contains("eyJ") }
}
