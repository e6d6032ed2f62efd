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
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw MQTTError(.credentials, "token file \(quoted(path)) cannot be read: \(reason(of: error))", phase: .credentials)
        }
        guard data.count <= 65_536, let text = String(validating: data, as: UTF8.self) else {
            let why = data.count > 65_536 ? "has \(data.count) bytes; at most 65535 are allowed" : "is not UTF-8 text"
            throw MQTTError(.credentials, "token file \(quoted(path)) \(why)", phase: .credentials)
        }
        let token = text.hasSuffix("\r\n") ? text.dropLast(1) : text.hasSuffix("\n") ? text.dropLast(1) : text[...]
        guard !token.isEmpty else {
            throw MQTTError(.credentials, "token file \(quoted(path)) is empty", phase: .credentials)
        }
        return MQTTCredentials(username: username, password: MQTTSecret(token))
    }

    private func reason(of error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile: "no such file"
        case .fileReadNoPermission: "permission denied"
        default: "not readable as a file"
        }
    }
}
