// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The tokens of another provider, whose claims are checked before they are sent: a platform that refuses a token says
/// no more than "not authorized".
struct CheckedTokens: MQTTCredentialProvider {
    let base: any MQTTCredentialProvider
    /// The platform's name, for messages.
    let platform: String
    /// The audiences of which a token must have one (RFC 7519, section 4.1.3); `nil` for any.
    var audiences: [String]?
    /// The longest lifetime that the platform takes.
    var longestLifetime: Duration?
    /// The user name of the CONNECT; `nil` for that of the provider.
    var username: String?

    var source: String { base.source }
    var reuse: MQTTCredentialReuse { base.reuse }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        var credentials = try await base.credentials(for: attempt)
        guard let token = credentials.password else {
            throw MQTTCredentialError.permanent("\(platform) needs a token, and the provider has no password")
        }
        guard let claims = Self.claims(of: token) else {
            throw MQTTCredentialError.permanent("\(platform) needs a JWT, and the provider's password is none")
        }
        if let audiences {
            let named = Self.texts(claims["aud"])
            if !named.contains(where: audiences.contains) {
                throw MQTTCredentialError.permanent(
                    "the token is for \(named.isEmpty ? "no audience" : named.map(quoted).joined(separator: ", ")); "
                        + "\(platform) takes \(audiences.map(quoted).joined(separator: ", ")) (aud)")
            }
        }
        if let longestLifetime, let issuedAt = Self.number(claims["iat"]), let expiresAt = Self.number(claims["exp"]),
            expiresAt - issuedAt > longestLifetime / .seconds(1)
        {
            throw MQTTCredentialError.permanent(
                "the token is valid for \(Int(expiresAt - issuedAt)) s; \(platform) takes at most \(longestLifetime)")
        }
        if let username { credentials.username = username }
        return credentials
    }

    private static func claims(of token: MQTTSecret) -> [String: MQTTTokenClaim]? {
        let payload = token.withBytes { bytes -> String? in
            let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            return parts.count == 3 ? String(decoding: parts[1], as: UTF8.self) : nil
        }
        guard let payload, let json = Data(base64URL: payload[...]) else { return nil }
        return try? JSONDecoder().decode([String: MQTTTokenClaim].self, from: json)
    }

    private static func texts(_ claim: MQTTTokenClaim?) -> [String] {
        switch claim {
        case .string(let text): [text]
        case .array(let elements): elements.flatMap { texts($0) }
        default: []
        }
    }

    private static func number(_ claim: MQTTTokenClaim?) -> Double? {
        switch claim {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
