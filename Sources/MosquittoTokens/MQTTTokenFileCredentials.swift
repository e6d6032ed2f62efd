// SPDX-License-Identifier: Apache-2.0

public import Mosquitto

/// A token file, read before every CONNECT, whose user name is a claim of the token.
///
/// An example is a Kubernetes projected service account token, for a broker that compares the user name with `sub`: the
/// file is a symbolic link that is swapped when the token is renewed. `MQTTFileCredentials` is for a fixed user name,
/// and documents which files are rejected; this type also rejects control characters in the token.
public struct MQTTTokenFileCredentials: MQTTCredentialProvider {
    /// The file's path.
    public var path: String
    /// The claim, such as "sub": its value must be a text or a whole number.
    public var usernameClaim: String

    /// A token file, and the claim that is the user name. The file is not read until credentials are requested.
    public init(path: String, usernameClaim: String) {
        self.path = path
        self.usernameClaim = usernameClaim
    }

    /// "file".
    public var source: String { "file" }

    /// Reads the file. An unusable file and a token without the claim are transient failures.
    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let credentials = try await MQTTFileCredentials(path: path).credentials(for: attempt)
        return try MQTTTokenUsername.claim(usernameClaim).credentials(credentials.password?.text ?? "")
    }
}

extension MQTTCredentialProvider where Self == MQTTTokenFileCredentials {
    /// A token file, read before every CONNECT; the user name is this claim of the token, such as "sub".
    public static func file(_ path: String, usernameClaim: String) -> MQTTTokenFileCredentials {
        MQTTTokenFileCredentials(path: path, usernameClaim: usernameClaim)
    }
}
