// SPDX-License-Identifier: Apache-2.0

/// Splits a command line into words as a shell does: spaces, '…', "…" and \. Nothing else has a meaning.
enum ShellWords {
    static func split(_ text: String) throws -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var characters = text.makeIterator()
        while let character = characters.next() {
            switch (character, quote) {
            case ("'", nil), ("\"", nil):
                quote = character
                word = word ?? ""
            case (_, character?):
                quote = nil
            case ("\\", nil), ("\\", "\""?):
                guard let next = characters.next() else {
                    throw CommandFailure(message: "--token-command ends with a backslash.")
                }
                // Within "…", a backslash stands for itself before anything but these.
                if quote != nil, !"\"\\$`".contains(next) { word = (word ?? "") + "\\" }
                word = (word ?? "") + String(next)
            case (_, nil) where character.isWhitespace:
                if let ended = word { words.append(ended) }
                word = nil
            default:
                word = (word ?? "") + String(character)
            }
        }
        if let quote { throw CommandFailure(message: "--token-command has a \(quote) without its end.") }
        if let word { words.append(word) }
        return words
    }
}
