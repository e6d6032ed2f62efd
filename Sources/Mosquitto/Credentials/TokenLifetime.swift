// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The time claims of a JWT (RFC 7519, section 4.1). The signature is not verified: that is the broker's task.
struct JWTClaims: Sendable, Hashable {
    var expiresAt: Double?
    var issuedAt: Double?
    var notBefore: Double?

    private struct Payload: Decodable {
        var exp: Double?
        var iat: Double?
        var nbf: Double?
    }

    /// Returns `nil` if `token` is not a JWT, but an opaque token or a password.
    init?(token: MQTTSecret) {
        // Only the claims are copied: without the signature they are no secret.
        let claims = token.withBytes { bytes -> String? in
            let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            return parts.count == 3 ? String(decoding: parts[1], as: UTF8.self) : nil
        }
        guard let claims, let json = Data(base64URL: claims[...]),
            let payload = try? JSONDecoder().decode(Payload.self, from: json)
        else { return nil }
        expiresAt = payload.exp
        issuedAt = payload.iat
        notBefore = payload.nbf
    }

    /// Upper bound of the wait for a token to become valid. After it the token is used anyway, since a clock may be
    /// wrong.
    static let longestWait = Duration.seconds(30)

    /// Time until a token received at `wall` becomes valid. A token issued in the future shows by how much the local
    /// clock is behind.
    func wait(receivedAt wall: Double) -> Duration {
        guard let notBefore, notBefore.isFinite else { return .zero }
        let now = max(wall, issuedAt ?? wall)
        guard notBefore > now else { return .zero }
        return min(.seconds(min(notBefore - now, 1e6)), Self.longestWait)
    }
}

extension Data {
    /// Decodes Base64 for URLs without padding (RFC 7515, section 2). Returns `nil` for any other text.
    package init?(base64URL text: Substring) {
        var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        self.init(base64Encoded: base64)
    }
}

/// The lifetime of a token, counted from its receipt.
struct TokenLifetime: Sendable, Hashable {
    /// The total lifetime, from issue to expiry.
    var total: Duration
    /// The lifetime that remained on receipt.
    var remaining: Duration

    /// Returns `nil` if the expiry of the credentials is unknown.
    ///
    /// The remaining time is computed with the local clock, as long as the result is plausible. If it is negative or
    /// exceeds the total lifetime, the clock is assumed to be wrong, and the total lifetime counts from the receipt.
    init?(_ credentials: MQTTCredentials, receivedAt now: Date) {
        let claims = credentials.password.flatMap { JWTClaims(token: $0) }
        guard let expiry = credentials.expiresAt?.timeIntervalSince1970 ?? claims?.expiresAt, expiry.isFinite else {
            return nil
        }
        let wall = now.timeIntervalSince1970
        let left = expiry - wall
        let whole = claims?.issuedAt.map { expiry - $0 } ?? left
        // More than three hundred years mean "never".
        guard whole < 1e10 else { return nil }
        guard whole > 0 else {
            total = .zero
            remaining = .zero
            return
        }
        total = .seconds(whole)
        remaining = left > 0 && left <= whole ? .seconds(left) : .seconds(whole)
    }

    /// True if the lifetime of a token received at `instant` has ended.
    func hasEnded(since instant: ContinuousClock.Instant, now: ContinuousClock.Instant = .now) -> Bool {
        now - instant >= remaining
    }

    /// True if this fraction of the total lifetime of a token received at `instant` has passed.
    func hasPassed(_ fraction: Double, since instant: ContinuousClock.Instant, now: ContinuousClock.Instant = .now)
        -> Bool
    {
        now - instant >= remaining - total * (1 - fraction)
    }

    /// Time from the receipt to the replacement of the token: this fraction of the lifetime, less a jitter that spreads
    /// the requests of clients whose tokens were issued together. `nil` if the lifetime is unknown.
    ///
    /// An issuer that returns tokens which are about to expire is not asked again at once.
    func refreshDelay(at fraction: Double, jitter: Double, using generator: inout some RandomNumberGenerator)
        -> Duration?
    {
        let spread = total * (jitter * Double.random(in: 0...1, using: &generator))
        let delay = remaining - total * (1 - fraction) - spread
        return total > .zero ? max(delay, min(.seconds(5), remaining / 2)) : nil
    }
}
