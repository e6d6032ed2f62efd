// SPDX-License-Identifier: Apache-2.0

/// Credentials from a token file that is read for each request, such as a Kubernetes projected service account token.
///
/// A byte order mark at the beginning of the file and newlines (LF or CR LF) at its end are not part of the token. A
/// file is rejected with an error that names the file if it is empty, has white space within the token, begins with
/// "Bearer", has quotes around the token, is not UTF-8, has more than 65,535 bytes or is not a regular file (such as a
/// FIFO); so is a file whose file system has not responded within 5 s.
public struct MQTTFileCredentials: MQTTCredentialProvider {
    private let path: String
    private let username: String?

    public init(path: String, username: String? = nil) {
        self.path = path
        self.username = username
    }

    public var source: String { "file" }

    /// The longest password of a CONNECT.
    private static let limit = 65_535

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let content: MQTTSecret
        do throws(FileFailure) {
            // Leaves room for newlines at the end.
            content = try await FileReader.shared.readSecret(path, limit: Self.limit + 256)
        } catch {
            throw error.isTooLarge ? tooLong : failure(error.reason, error.systemCode)
        }
        return MQTTCredentials(username: username, password: try token(of: content))
    }

    private func token(of content: MQTTSecret) throws(MQTTError) -> MQTTSecret {
        try content.withBytes { (bytes) throws(MQTTError) -> MQTTSecret in
            let token = TokenText.trimmed(bytes)
            if token.isEmpty { throw failure("is empty") }
            if token.count > Self.limit { throw tooLong }
            guard String(validating: token, as: UTF8.self) != nil else { throw failure("is not UTF-8 text") }
            if let flaw = TokenText.flaw(token) { throw failure(flaw) }
            if token.contains(where: { $0 == UInt8(ascii: " ") || (0x09...0x0D).contains($0) }) {
                throw failure("has white space or a newline in it: it must be the token alone")
            }
            return MQTTSecret(bytes: token)
        }
    }

    private var tooLong: MQTTError { failure("has more than \(Self.limit) bytes; no CONNECT can carry it") }

    private func failure(_ why: String, _ systemCode: Int32? = nil) -> MQTTError {
        var error = MQTTError(.credentials, "token file \(quoted(path)) \(why)", phase: .credentials)
        error.systemCode = systemCode
        return error
    }
}
