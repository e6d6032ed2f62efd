package import FoundationEssentials

/// The time claims of a JWT (RFC 7519, section 4.1), read without a check of its signature: that is the broker's.
struct JWTClaims: Sendable, Hashable {
    var expiresAt: Double?
    var issuedAt: Double?
    var notBefore: Double?

    private struct Payload: Decodable {
        var exp: Double?
        var iat: Double?
        var nbf: Double?
    }

    /// `nil` if it is not a JWT: an opaque token or a password.
    init?(token: MQTTSecret) {
        // The claims alone are copied: without the signature they are no secret.
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

    /// The longest wait for a token to become valid: after it the token is tried anyway, since a clock may be wrong.
    static let longestWait = Duration.seconds(30)

    /// How long a token that was received at `wall` is not valid yet. A token that was issued in the future says that this
    /// machine's clock is behind, and by how much.
    func wait(receivedAt wall: Double) -> Duration {
        guard let notBefore, notBefore.isFinite else { return .zero }
        let now = max(wall, issuedAt ?? wall)
        guard notBefore > now else { return .zero }
        return min(.seconds(min(notBefore - now, 1e6)), Self.longestWait)
    }
}

extension Data {
    /// Base64 for URLs, without padding (RFC 7515, section 2). `nil` if the text is something else.
    package init?(base64URL text: Substring) {
        var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        self.init(base64Encoded: base64)
    }
}

/// How long a token lasts from the moment it was received.
struct TokenLifetime: Sendable, Hashable {
    /// The token's whole life, from its issue to its expiry.
    var total: Duration
    /// What was left of it when it was received.
    var remaining: Duration

    /// `nil` if nothing tells when the credentials expire.
    ///
    /// The remaining time is what the local clock says, as long as that can be true. If it is negative or more than the
    /// whole life, the clock is wrong, not the token, and the whole life counts from the receipt.
    init?(_ credentials: MQTTCredentials, receivedAt now: Date) {
        let claims = credentials.password.flatMap { JWTClaims(token: $0) }
        guard let expiry = credentials.expiresAt?.timeIntervalSince1970 ?? claims?.expiresAt, expiry.isFinite else {
            return nil
        }
        let wall = now.timeIntervalSince1970
        let left = expiry - wall
        let whole = claims?.issuedAt.map { expiry - $0 } ?? left
        // Longer than three hundred years: a way to say "never".
        guard whole < 1e10 else { return nil }
        guard whole > 0 else {
            total = .zero
            remaining = .zero
            return
        }
        total = .seconds(whole)
        remaining = left > 0 && left <= whole ? .seconds(left) : .seconds(whole)
    }

    /// Whether it has ended, if it was received at `instant`.
    func hasEnded(since instant: ContinuousClock.Instant, now: ContinuousClock.Instant = .now) -> Bool {
        now - instant >= remaining
    }

    /// Whether this fraction of the whole life has passed, if it was received at `instant`.
    func hasPassed(_ fraction: Double, since instant: ContinuousClock.Instant, now: ContinuousClock.Instant = .now)
        -> Bool
    {
        now - instant >= remaining - total * (1 - fraction)
    }

    /// How long after the receipt the token is replaced: at this fraction of its life, less a jitter that keeps clients
    /// whose tokens were minted together from asking for new ones together. `nil` if its life is unknown.
    ///
    /// An issuer that hands out tokens which are almost over is not asked again at once.
    func refreshDelay(at fraction: Double, jitter: Double, using generator: inout some RandomNumberGenerator)
        -> Duration?
    {
        let spread = total * (jitter * Double.random(in: 0...1, using: &generator))
        let delay = remaining - total * (1 - fraction) - spread
        return total > .zero ? max(delay, min(.seconds(5), remaining / 2)) : nil
    }
}
