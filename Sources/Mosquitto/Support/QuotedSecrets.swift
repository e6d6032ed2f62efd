// SPDX-License-Identifier: Apache-2.0

/// The secrets of a request, which an answer may quote.
struct QuotedSecrets {
    /// Their bytes, the longest first: one secret may be a part of another.
    private let secrets: [[UInt8]]
    private let shortest: Int

    /// - Parameter shortest: The length in bytes from which a text is a secret. The value of a parameter may be a word
    ///   that every answer has.
    init(_ secrets: [String], shortest: Int) {
        self.secrets = secrets.map { Array($0.utf8) }.filter { $0.count >= shortest }.sorted { $0.count > $1.count }
        self.shortest = shortest
    }

    /// Returns a text without the secrets. The text may end within one: a body has a limit, and the reason of a close
    /// frame has another one.
    func redacted(_ text: String) -> String {
        let text = secrets.reduce(text) { $0.replacing(String(decoding: $1, as: UTF8.self), with: "(redacted)") }
        let bytes = Array(text.utf8)
        let cut = secrets.map { secret in
            stride(from: min(secret.count, bytes.count), through: shortest, by: -1)
                .first { bytes.suffix($0).elementsEqual(secret.prefix($0)) } ?? 0
        }
        guard let length = cut.max(), length > 0 else { return text }
        return String(decoding: bytes.dropLast(length), as: UTF8.self) + "(redacted)"
    }
}
