// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Shared access signatures (SAS) of Azure, signed here with HMAC-SHA256 for each request.
///
/// The password is `SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY`, as "Control access to IoT Hub with
/// shared access signatures" of Azure's documentation describes it. The client rotates it before it expires. The clock
/// of this machine must be right.
public struct MQTTSharedAccessCredentials: MQTTCredentialProvider {
    private let resource: String
    private let key: MQTTSecret
    private let policy: String?
    private let username: String?
    private let lifetime: Duration
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - resource: the resource, such as "contoso.azure-devices.net/devices/thermometer".
    ///   - key: the key in Base64, as the portal shows it.
    ///   - policy: the name of the policy of a key that is not the device's own; `nil` for none.
    ///   - username: the user name of the CONNECT.
    ///   - lifetime: the time for which a signature is valid, at least one minute. Default one hour.
    public init(
        resource: String, key: MQTTSecret, policy: String? = nil, username: String? = nil,
        lifetime: Duration = .seconds(3_600)
    ) {
        self.init(resource: resource, key: key, policy: policy, username: username, lifetime: lifetime) { Date.now }
    }

    init(
        resource: String, key: MQTTSecret, policy: String?, username: String?, lifetime: Duration,
        now: @escaping @Sendable () -> Date
    ) {
        self.resource = resource
        self.key = key
        self.policy = policy
        self.username = username
        self.lifetime = lifetime
        self.now = now
    }

    public var source: String { "sharedAccessSignature" }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        if lifetime < .seconds(60) {
            throw MQTTCredentialError.permanent("the lifetime of signatures is \(lifetime); it must be at least 60 s")
        }
        guard var decoded = Data(base64Encoded: key.text), !decoded.isEmpty else {
            throw MQTTCredentialError.permanent("the shared access key is not Base64; copy it from the portal")
        }
        var bytes = Array(decoded)
        decoded.resetBytes(in: decoded.indices)
        defer { SecretBytes.cleanse(&bytes) }
        let expiry = Int64((now().timeIntervalSince1970 + lifetime / .seconds(1)).rounded(.up))
        let scope = PercentEncoding.encoded(resource)
        let signature = Digest.hmacSHA256(Array("\(scope)\n\(expiry)".utf8), key: bytes)
        var token =
            "SharedAccessSignature sr=\(scope)"
            + "&sig=\(PercentEncoding.encoded(Data(signature).base64EncodedString()))&se=\(expiry)"
        if let policy { token += "&skn=" + PercentEncoding.encoded(policy) }
        return MQTTCredentials(
            username: username, password: MQTTSecret(token),
            expiresAt: Date(timeIntervalSince1970: TimeInterval(expiry)))
    }
}

extension MQTTCredentialProvider where Self == MQTTSharedAccessCredentials {
    /// Shared access signatures of Azure; see ``MQTTSharedAccessCredentials``.
    public static func sharedAccessSignature(
        resource: String, key: MQTTSecret, policy: String? = nil, username: String? = nil,
        lifetime: Duration = .seconds(3_600)
    ) -> MQTTSharedAccessCredentials {
        MQTTSharedAccessCredentials(
            resource: resource, key: key, policy: policy, username: username, lifetime: lifetime)
    }
}
