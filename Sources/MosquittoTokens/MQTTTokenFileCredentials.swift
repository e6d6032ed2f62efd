public import Mosquitto

/// A token file, read anew before every CONNECT, whose user name is a claim of the token.
///
/// Such as a Kubernetes projected service account token for a broker that compares the user name with `sub`: the file
/// is a symbolic link that is swapped when the token is renewed. For a fixed user name there is
/// `MQTTFileCredentials`, which says what is read and refused; here control characters inside the token are refused
/// too.
public struct MQTTTokenFileCredentials: MQTTCredentialProvider {
    /// The file's path.
    public var path: String
    /// The claim, such as "sub": its value has to be a text or a whole number.
    public var usernameClaim: String

    /// A token file, and the claim that is the user name. The file is not touched before credentials are asked for.
    public init(path: String, usernameClaim: String) {
        self.path = path
        self.usernameClaim = usernameClaim
    }

    /// "file".
    public var source: String { "file" }

    /// Reads the file. Throws if it cannot be used, or if the token has no such claim; all of that counts as transient.
    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let credentials = try await MQTTFileCredentials(path: path).credentials(for: attempt)
        return try MQTTTokenUsername.claim(usernameClaim).credentials(credentials.password?.text ?? "")
    }
}

extension MQTTCredentialProvider where Self == MQTTTokenFileCredentials {
    /// A token file, read anew before every CONNECT; the user name is this claim of the token, such as "sub".
    public static func file(_ path: String, usernameClaim: String) -> MQTTTokenFileCredentials {
        MQTTTokenFileCredentials(path: path, usernameClaim: usernameClaim)
    }
}
