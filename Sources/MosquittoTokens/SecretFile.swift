// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// A file with a key or a secret, which may be replaced at any time, and is therefore read for each use.
enum SecretFile {
    private static let limit = 65_536

    /// Returns the bytes of a regular file, at most 64 KiB. `what` names the file in the error, as in "key".
    static func bytes(_ path: String, _ what: String) async throws(MQTTCredentialError) -> MQTTSecret {
        let content: MQTTSecret
        do throws(FileFailure) {
            content = try await FileReader.shared.readSecret(path, limit: limit)
        } catch {
            throw .transient("the \(what) file \"\(path)\" \(error.reason)")
        }
        if content.count == 0 { throw .transient("the \(what) file \"\(path)\" is empty") }
        return content
    }

    /// Returns the text of the file without a byte order mark and trailing newlines.
    static func text(_ path: String, _ what: String) async throws(MQTTCredentialError) -> String {
        let content = try await bytes(path, what)
        return try content.withBytes { (bytes) throws(MQTTCredentialError) -> String in
            let secret = TokenText.trimmed(bytes)
            guard let text = String(validating: secret, as: UTF8.self) else {
                throw .transient("the \(what) file \"\(path)\" is not UTF-8 text")
            }
            if text.isEmpty { throw .transient("the \(what) file \"\(path)\" is empty") }
            if let flaw = TokenText.flaw(secret) { throw .transient("the \(what) file \"\(path)\" \(flaw)") }
            return text
        }
    }

    /// Removes a byte order mark and trailing newlines.
    static func trimmed(_ text: String) -> String {
        String(decoding: TokenText.trimmed(Array(text.utf8)), as: UTF8.self)
    }
}
