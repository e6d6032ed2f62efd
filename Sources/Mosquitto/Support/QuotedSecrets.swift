// SPDX-License-Identifier: Apache-2.0

/// The secrets of a request, which an answer may quote.
package struct QuotedSecrets {
    /// Their bytes, the longest first: one secret may be a part of another.
    private let secrets: [[UInt8]]
    private let shortestCut: Int

    /// - Parameter shortest: The length in bytes from which a text is a secret. The value of a parameter may be a word
    ///   that every answer has.
    package init(_ secrets: [String], shortest: Int) {
        self.secrets = secrets.map { Array($0.utf8) }.filter { $0.count >= shortest }.sorted { $0.count > $1.count }
        // A text that ends with the first letters of a secret is no cut one.
        shortestCut = max(shortest, 8)
    }

    package static let mark = "(redacted)"

    /// Returns a text without the secrets. The text may end within one: a body has a limit, and the reason of a close
    /// frame has another one.
    package func redacted(_ text: String) -> String {
        // By bytes: to a String, a letter before a combining mark is another one.
        var bytes = secrets.reduce(Array(text.utf8)) { $0.replacing($1, with: Self.mark.utf8) }
        let cut = secrets.map { secret in
            stride(from: min(secret.count, bytes.count), through: shortestCut, by: -1)
                .first { bytes.suffix($0).elementsEqual(secret.prefix($0)) } ?? 0
        }
        if let length = cut.max(), length > 0 { bytes = bytes.dropLast(length) + Self.mark.utf8 }
        return String(decoding: bytes, as: UTF8.self)
    }
}
