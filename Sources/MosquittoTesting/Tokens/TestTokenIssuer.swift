// SPDX-License-Identifier: Apache-2.0

internal import Crypto

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Issues and validates JSON Web Tokens signed with HMAC SHA-256 (HS256), for brokers under test.
public struct TestTokenIssuer: Sendable {
    private let key: SymmetricKey

    /// Creates an issuer.
    ///
    /// - Parameter secret: The HMAC key, 32 random bytes by default.
    public init(secret: [UInt8] = TestTokenIssuer.randomSecret()) {
        key = SymmetricKey(data: secret)
    }

    /// Returns 32 bytes from the system's random source.
    public static func randomSecret() -> [UInt8] {
        (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// Issues a token.
    ///
    /// The dates keep their fractions of a second (RFC 7519, section 2, "NumericDate"), so that a lifetime may be as
    /// short as 300 ms.
    ///
    /// - Parameters:
    ///   - subject: The `sub` claim.
    ///   - lifetime: The time from `issuedAt` to the expiry. A negative one yields a token that expired
    ///     before it was issued.
    ///   - issuedAt: The `iat` claim.
    ///   - audience: The `aud` claim, if any.
    public func token(
        subject: String = "dev1",
        lifetime: Duration,
        issuedAt: Date = .now,
        audience: String? = nil
    ) -> String {
        let claims = Claims(
            sub: subject,
            iat: issuedAt.timeIntervalSince1970,
            exp: issuedAt.timeIntervalSince1970 + lifetime / .seconds(1),
            jti: UUID().uuidString,
            aud: audience
        )
        // JSONEncoder refuses only infinite numbers, which a test's Date or Duration never is; validate() would then
        // return nil.
        let payload = (try? JSONEncoder().encode(claims)) ?? Data()
        let signed = Self.header + "." + Base64URL.encode(payload)
        let signature = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: key)
        return signed + "." + Base64URL.encode(Data(signature))
    }

    /// Validates a token.
    ///
    /// - Parameters:
    ///   - token: The token in compact serialization.
    ///   - now: The time with which `exp` is compared.
    /// - Returns: `nil` if the token is malformed, expired, not HS256 or signed by somebody else.
    public func validate(_ token: String, now: Date = .now) -> TestToken? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let header = Base64URL.decode(parts[0]).flatMap({ try? JSONDecoder().decode(Header.self, from: $0) }),
            // Rejects any other algorithm.
            header.alg == "HS256",
            let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { return nil }
        let signed = Data("\(parts[0]).\(parts[1])".utf8)
        guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key),
            let claims = try? JSONDecoder().decode(Claims.self, from: payload),
            claims.exp > now.timeIntervalSince1970
        else { return nil }
        return TestToken(
            subject: claims.sub,
            expiresAt: Date(timeIntervalSince1970: claims.exp),
            id: claims.jti,
            audience: claims.aud
        )
    }

    private struct Header: Decodable {
        let alg: String
    }

    private static let header = Base64URL.encode(Data(#"{"alg":"HS256","typ":"JWT"}"#.utf8))

    private struct Claims: Codable {
        let sub: String
        let iat: Double
        let exp: Double
        let jti: String
        let aud: String?
    }
}

extension TestTokenIssuer: CustomStringConvertible, CustomReflectable {
    public var description: String { "TestTokenIssuer(secret redacted)" }

    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// RFC 7515, section 2: base64url without padding.
private enum Base64URL {
    static func encode(_ data: Data) -> String {
        String(
            data.base64EncodedString().compactMap { character in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            }
        )
    }

    static func decode(_ text: Substring) -> Data? {
        var base64 = String(
            text.map { character in
                switch character {
                case "-": "+"
                case "_": "/"
                default: character
                }
            }
        )
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        return Data(base64Encoded: base64)
    }
}
