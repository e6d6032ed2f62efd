import FoundationEssentials
import Mosquitto

/// A file with a key or a secret, which somebody may replace at any time: it is read whenever it is needed.
enum SecretFile {
    /// Its bytes, at most 64 KiB. `what` names it in the error, as in "key".
    static func bytes(_ path: String, _ what: String) throws(MQTTCredentialError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .transient("the \(what) file \"\(path)\" cannot be read")
        }
        if data.isEmpty { throw .transient("the \(what) file \"\(path)\" is empty") }
        if data.count > 65_536 { throw .transient("the \(what) file \"\(path)\" has more than 65536 bytes") }
        return [UInt8](data)
    }

    /// Its text, less one trailing newline.
    static func text(_ path: String, _ what: String) throws(MQTTCredentialError) -> String {
        guard let text = String(validating: try bytes(path, what), as: UTF8.self) else {
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
