import FoundationEssentials

/// A token from a file that is read anew each time, such as a Kubernetes projected service account token.
///
/// One trailing newline is removed. An empty file, one that is not UTF-8 and one of more than 65,535 bytes are refused
/// with an error that names the file.
public struct MQTTFileCredentials: MQTTCredentialProvider {
    private let path: String
    private let username: String?

    public init(path: String, username: String? = nil) {
        self.path = path
        self.username = username
    }

    public var source: String { "file" }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        var data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw MQTTError(
                .credentials, "token file \(quoted(path)) cannot be read: \(reason(of: error))", phase: .credentials)
        }
        defer { data.resetBytes(in: data.startIndex..<data.endIndex) }
        func fail(_ why: String) -> MQTTError {
            MQTTError(.credentials, "token file \(quoted(path)) \(why)", phase: .credentials)
        }
        let newline = data.suffix(2) == Data("\r\n".utf8) ? 2 : data.last == UInt8(ascii: "\n") ? 1 : 0
        let bytes = data.dropLast(newline)
        if bytes.isEmpty { throw fail("is empty") }
        if bytes.count > 65_535 { throw fail("has \(bytes.count) bytes; at most 65535 are allowed") }
        if String(validating: bytes, as: UTF8.self) == nil { throw fail("is not UTF-8 text") }
        return MQTTCredentials(username: username, password: MQTTSecret(bytes: bytes))
    }

    private func reason(of error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile: "no such file"
        case .fileReadNoPermission: "permission denied"
        default: "not readable as a file"
        }
    }
}
