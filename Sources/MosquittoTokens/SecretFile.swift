import Mosquitto

/// A file with a key or a secret, which may be replaced at any time, and is therefore read for each use.
enum SecretFile {
    private static let limit = 65_536

    /// Returns the bytes of a regular file, at most 64 KiB. `what` names the file in the error, as in "key".
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

    /// Returns the text of the file without one trailing newline.
    static func text(_ path: String, _ what: String) async throws(MQTTCredentialError) -> String {
        let content = try await bytes(path, what)
        guard let text = content.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw .transient("the \(what) file \"\(path)\" is not UTF-8 text")
        }
        let line = withoutNewline(text)
        if line.isEmpty { throw .transient("the \(what) file \"\(path)\" is empty") }
        return line
    }

    /// Removes one trailing newline: LF, or CR and LF, which are one character in Swift.
    static func withoutNewline(_ text: String) -> String {
        text.hasSuffix("\n") || text.hasSuffix("\r\n") ? String(text.dropLast()) : text
    }
}
