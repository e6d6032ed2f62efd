import FoundationEssentials
import JWTKit
public import Mosquitto

/// Signs its own JSON Web Tokens (RFC 7519): the identity of a device whose key the broker knows.
public struct MQTTSignedCredentials: MQTTCredentialProvider {
    /// What signs. Default of `kid`: none.
    public var key: MQTTSigningKey
    /// The header `kid`, by which a broker finds the key.
    public var keyID: String?
    /// The claim `iss`.
    public var issuer: String?
    /// The claim `sub`.
    public var subject: String?
    /// The claim `aud`: one text if there is one.
    public var audience: [String] = []
    /// From `iat` to `exp`, at least 1 s. Default one hour.
    public var lifetime: Duration = .seconds(3_600)
    /// Further claims. They replace those above where they have the same name.
    public var claims: [String: MQTTTokenClaim] = [:]
    /// The user name. Default: the claim `sub` if there is a subject, else none.
    public var username: MQTTTokenUsername

    public init(
        key: MQTTSigningKey, keyID: String? = nil, issuer: String? = nil, subject: String? = nil,
        audience: [String] = [], lifetime: Duration = .seconds(3_600), claims: [String: MQTTTokenClaim] = [:],
        username: MQTTTokenUsername? = nil
    ) {
        self.key = key
        self.keyID = keyID
        self.issuer = issuer
        self.subject = subject
        self.audience = audience
        self.lifetime = lifetime
        self.claims = claims
        self.username = username ?? (subject.map { .fixed($0) } ?? .none)
    }

    public var source: String { "signed" }
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let seconds = lifetime.components.seconds
        guard (1...315_360_000).contains(seconds) else {
            throw MQTTCredentialError.permanent("a lifetime of \(lifetime) is not between one second and ten years")
        }
        let now = Int(Date.now.timeIntervalSince1970)
        var all: [String: MQTTTokenClaim] = [
            "iat": .integer(now), "exp": .integer(now + Int(seconds)), "jti": .string(UUID().uuidString),
        ]
        all["iss"] = issuer.map { .string($0) }
        all["sub"] = subject.map { .string($0) }
        if let first = audience.first {
            all["aud"] = audience.count == 1 ? .string(first) : .array(audience.map { .string($0) })
        }
        all.merge(claims) { $1 }
        return try username.credentials(try await key.sign(SignedClaims(claims: all), keyID: keyID))
    }
}

/// The payload of a token that is signed here.
struct SignedClaims: JWTPayload {
    var claims: [String: MQTTTokenClaim]

    init(claims: [String: MQTTTokenClaim]) { self.claims = claims }
    init(from decoder: any Decoder) throws { claims = try [String: MQTTTokenClaim](from: decoder) }
    func encode(to encoder: any Encoder) throws { try claims.encode(to: encoder) }
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

extension MQTTCredentialProvider where Self == MQTTSignedCredentials {
    /// Tokens that are signed here.
    public static func signed(
        _ key: MQTTSigningKey, keyID: String? = nil, issuer: String? = nil, subject: String? = nil,
        audience: [String] = [], lifetime: Duration = .seconds(3_600), claims: [String: MQTTTokenClaim] = [:],
        username: MQTTTokenUsername? = nil
    ) -> MQTTSignedCredentials {
        MQTTSignedCredentials(
            key: key, keyID: keyID, issuer: issuer, subject: subject, audience: audience, lifetime: lifetime,
            claims: claims, username: username)
    }
}
