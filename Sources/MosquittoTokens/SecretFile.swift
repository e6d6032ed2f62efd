import Mosquitto

/// A file with a key or a secret, which somebody may replace at any time: it is read whenever it is needed.
enum SecretFile {
    private static let limit = 65_536

    /// Its bytes, at most 64 KiB, of a regular file. `what` names it in the error, as in "key".
    static func bytes(_ path: String, _ what: String) async throws(MQTTCredentialError) -> MQTTSecret {
        let content: MQTTSecret
        do throws(FileFailure) {
            content = try await FileReader.shared.read(path, limit: limit)
        } catch {
            throw .transient("the \(what) file \"\(path)\" \(error.reason)")
        }
        if content.count == 0 { throw .transient("the \(what) file \"\(path)\" is empty") }
        return content
    }

    /// Its text, less one trailing newline.
    static func text(_ path: String, _ what: String) async throws(MQTTCredentialError) -> String {
        let content = try await bytes(path, what)
        guard let text = content.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw .transient("the \(what) file \"\(path)\" is not UTF-8 text")
        }
        let line = withoutNewline(text)
        if line.isEmpty { throw .transient("the \(what) file \"\(path)\" is empty") }
        return line
    }

    /// Less one trailing newline: LF, or CR and LF, which Swift takes for one character.
    static func withoutNewline(_ text: String) -> String {
        text.hasSuffix("\n") || text.hasSuffix("\r\n") ? String(text.dropLast()) : text
    }
}
