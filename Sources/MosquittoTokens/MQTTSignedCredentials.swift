// SPDX-License-Identifier: Apache-2.0

import JWTKit
public import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Signs its own JSON Web Tokens (RFC 7519): the identity of a device whose key the broker knows.
public struct MQTTSignedCredentials: MQTTCredentialProvider {
    /// The key that signs the tokens.
    public var key: MQTTSigningKey
    /// The header `kid`, by which a broker finds the key. Default none.
    public var keyID: String?
    /// The claim `iss`. Default none.
    public var issuer: String?
    /// The claim `sub`. Default none.
    public var subject: String?
    /// The claim `aud`: a text if there is one, a list if there are several. Default none.
    public var audience: [String] = []
    /// The time from `iat`, which is now, to `exp`: whole seconds, from 1 s to ten years. Default one hour.
    public var lifetime: Duration = .seconds(3_600)
    /// The time by which the claim `nbf` precedes `iat`, for a broker whose clock is behind: whole seconds, `.zero` to
    /// ten years. Default `nil`: no such claim.
    public var notBeforeLeeway: Duration?
    /// Further claims, which replace those above of the same name. Default none.
    public var claims: [String: MQTTTokenClaim] = [:]
    /// The user name. Default: the claim `sub` if there is a subject, else none.
    public var username: MQTTTokenUsername

    /// A source of tokens. The key is not used until credentials are requested.
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

    /// "signed".
    public var source: String { "signed" }
    /// A token is used until it is due or refused.
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    private static let tenYears: Int64 = 315_360_000

    /// Signs a token, with a new random `jti`. Throws `MQTTCredentialError` if the key cannot be used (permanent if
    /// it is in memory), or if a duration is out of its range (permanent).
    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let seconds = lifetime.components.seconds
        guard (1...Self.tenYears).contains(seconds) else {
            throw MQTTCredentialError.permanent("a lifetime of \(lifetime) is not between one second and ten years")
        }
        let now = Int(Date.now.timeIntervalSince1970)
        var all: [String: MQTTTokenClaim] = [
            "iat": .integer(now), "exp": .integer(now + Int(seconds)), "jti": .string(UUID().uuidString),
        ]
        if let notBeforeLeeway {
            let leeway = notBeforeLeeway.components.seconds
            guard (0...Self.tenYears).contains(leeway) else {
                throw MQTTCredentialError.permanent("a leeway of \(notBeforeLeeway) is not between zero and ten years")
            }
            all["nbf"] = .integer(now - Int(leeway))
        }
        all["iss"] = issuer.map { .string($0) }
        all["sub"] = subject.map { .string($0) }
        if let first = audience.first {
            all["aud"] = audience.count == 1 ? .string(first) : .array(audience.map { .string($0) })
        }
        all.merge(claims) { $1 }
        return try username.credentials(try await key.sign(SignedClaims(claims: all), keyID: keyID))
    }
}

/// The payload of a signed token.
struct SignedClaims: JWTPayload {
    var claims: [String: MQTTTokenClaim]

    init(claims: [String: MQTTTokenClaim]) { self.claims = claims }
    init(from decoder: any Decoder) throws { claims = try [String: MQTTTokenClaim](from: decoder) }
    func encode(to encoder: any Encoder) throws { try claims.encode(to: encoder) }
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

extension MQTTCredentialProvider where Self == MQTTSignedCredentials {
    /// Tokens that the client signs.
    ///
    /// - Parameters:
    ///   - key: The key that signs the tokens.
    ///   - keyID: The header `kid`, by which a broker finds the key.
    ///   - issuer: The claim `iss`.
    ///   - subject: The claim `sub`.
    ///   - audience: The claim `aud`.
    ///   - lifetime: The time from `iat`, which is now, to `exp`. Default one hour.
    ///   - claims: Further claims, which replace those above of the same name.
    ///   - username: The user name. Default: the subject if there is one, else none.
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
