// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Decides when to ask a credential provider, and which credentials to use meanwhile. No clock, no I/O: callers pass
/// the time.
///
/// Holds the provider's last token, so that it can be reused while it is valid. After a failure the issuer is not asked
/// again for the time that it requested, or ever if the failure is permanent.
struct TokenRotationStateMachine: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A token returned by the provider.
    struct Token: Sendable {
        var credentials: MQTTCredentials
        var receivedAt: Instant
        /// `nil` if the expiry of the credentials is unknown.
        var lifetime: TokenLifetime?
        /// The time at which the token becomes valid.
        var usableAt: Instant

        /// True if the token is known to remain valid after `now`.
        func isAlive(_ now: Instant) -> Bool { lifetime.map { !$0.hasEnded(since: receivedAt, now: now) } ?? false }

        /// True if the token is due for replacement.
        func isDue(_ now: Instant, at fraction: Double) -> Bool {
            lifetime.map { $0.hasPassed(fraction, since: receivedAt, now: now) } ?? true
        }
    }

    enum Step: Sendable {
        case use(Token)
        case ask
        /// Ask, and use this token meanwhile: the provider was too slow the last time.
        case useAndAsk(Token)
        case fail(MQTTError)
    }

    /// Minimum interval between two requests to an issuer, unless its token is used up.
    static let minimumInterval = Duration.seconds(5)
    /// Number of tokens from the issuer, rejected by the broker within ``refusalWindow``, after which the issuer is not
    /// asked for that long.
    static let refusalLimit = 3
    /// The window in which rejected tokens are counted, and the pause after ``refusalLimit`` of them.
    static let refusalWindow = Duration.seconds(60)

    private let reuse: MQTTCredentialReuse
    /// The fraction of a token's lifetime after which the token is replaced.
    private let fraction: Double
    private(set) var token: Token?
    private var lastAsked: Instant?
    private var permanentFailure: MQTTError?
    /// The time before which the issuer is not asked, with the reason.
    private var sparedUntil: (instant: Instant, why: String)?
    private var refusals: [Instant] = []
    private var lastRefused: MQTTCredentials?
    /// The last time at which a rejected token led to a request within the minimum interval.
    private var lastAskedAtOnce: Instant?
    private var slowness: Slowness?

    /// State of a provider that was too slow at every request since its last answer.
    private struct Slowness {
        var failures: Int
        /// The time before which the provider is not asked if a held token can be used.
        var isSparedUntil: Instant

        /// Waits 1 s after the first failure, and twice as long after each further one, up to a minute.
        mutating func failed(_ now: Instant) {
            failures += 1
            isSparedUntil = now + .seconds(min(60, 1 << min(failures - 1, 6)))
        }
    }

    init(reuse: MQTTCredentialReuse, refreshAt fraction: Double? = nil) {
        self.reuse = reuse
        self.fraction = fraction ?? 1
    }

    /// Returns the next step for an attempt or a rotation that needs credentials. `refused`: the credentials that the
    /// broker has rejected since the last connection, if any. `isAsking`: a request is in progress, and `ask` means to
    /// wait for its result.
    mutating func need(
        _ purpose: MQTTConnectAttempt.Purpose, refused: MQTTCredentials?, isAsking: Bool = false, now: Instant
    ) -> Step {
        let held = held(for: purpose, refused: refused, now: now)
        if isAsking {
            if slowness != nil, let held { return .use(held) }
            return .ask
        }
        hear(refused, now: now)
        if reuse == .untilRefresh, let held, !held.isDue(now, at: fraction) { return .use(held) }
        if let error = refusalToAsk(isRefusal: refused != nil, now) {
            // A valid token stays in use. A rotation requires a new one.
            return held.map { .use($0) } ?? .fail(error)
        }
        if let slowness, let held, now < slowness.isSparedUntil { return .use(held) }
        if isWithinInterval(now) { lastAskedAtOnce = now }
        lastAsked = now
        if slowness != nil, let held { return .useAndAsk(held) }
        return .ask
    }

    /// Time for which an attempt could neither ask the provider nor dial with a held token; zero after a permanent
    /// failure, which must be reported.
    mutating func wait(refused: MQTTCredentials?, now: Instant) -> Duration {
        hear(refused, now: now)
        guard permanentFailure == nil, held(for: .connect, refused: refused, now: now) == nil,
            let obstacle = obstacle(isRefusal: refused != nil, now)
        else { return .zero }
        return obstacle.end - now
    }

    /// The token that can be used without asking the provider; `nil` for a rotation, which requires a new one.
    func held(for purpose: MQTTConnectAttempt.Purpose, refused: MQTTCredentials?, now: Instant) -> Token? {
        guard purpose != .rotation, let token, token.isAlive(now), !token.credentials.areSame(as: refused) else {
            return nil
        }
        return token
    }

    private mutating func hear(_ refused: MQTTCredentials?, now: Instant) {
        if let refused { note(refused, now: now) } else { lastRefused = nil }
    }

    private mutating func note(_ refused: MQTTCredentials, now: Instant) {
        // Each attempt until the next connection passes the same rejected credentials.
        guard reuse == .untilRefresh, !refused.areSame(as: lastRefused) else { return }
        lastRefused = refused
        refusals.removeAll { now - $0 > Self.refusalWindow }
        refusals.append(now)
        if refusals.count >= Self.refusalLimit {
            spare(until: now + Self.refusalWindow, "the broker has refused \(refusals.count) tokens within a minute")
        }
    }

    private func refusalToAsk(isRefusal: Bool, _ now: Instant) -> MQTTError? {
        if let permanentFailure { return permanentFailure }
        guard let (end, why) = obstacle(isRefusal: isRefusal, now) else { return nil }
        return .credentials("\(why); it is asked again in \(Self.rounded(end - now))", retryAfter: end - now)
    }

    /// The time until which the provider is not asked, with the reason.
    private func obstacle(isRefusal: Bool, _ now: Instant) -> (end: Instant, why: String)? {
        if let (instant, why) = sparedUntil, now < instant { return (instant, why) }
        guard isWithinInterval(now), let lastAsked else { return nil }
        // After a rejection the provider is asked at once, whatever its reuse; the interval limits the requests after
        // that.
        if isRefusal, lastAskedAtOnce.map({ now - $0 >= interval }) ?? true { return nil }
        return (lastAsked + interval, "the issuer was asked just before")
    }

    private func isWithinInterval(_ now: Instant) -> Bool {
        guard reuse == .untilRefresh, let lastAsked else { return false }
        return now - lastAsked < interval
    }

    /// Tokens with a lifetime of a few seconds occur in tests, and must be requested more often.
    private var interval: Duration {
        min(Self.minimumInterval, token?.lifetime.map { $0.remaining / 2 } ?? Self.minimumInterval)
    }

    /// Stores the provider's answer.
    mutating func received(_ credentials: MQTTCredentials, now: Instant, wall: Date) -> Token {
        permanentFailure = nil
        sparedUntil = nil
        slowness = nil
        let wait =
            credentials.password.flatMap { JWTClaims(token: $0) }?.wait(receivedAt: wall.timeIntervalSince1970)
            ?? .zero
        let new = Token(
            credentials: credentials, receivedAt: now, lifetime: TokenLifetime(credentials, receivedAt: wall),
            usableAt: now + wait)
        // The receipt of the same token does not extend its lifetime.
        if let token, token.credentials.areSame(as: credentials), token.lifetime != nil { return token }
        token = new
        return new
    }

    /// Records a failure of the provider. `wasSlow`: the failure took so long that the next request uses a held token
    /// at once.
    mutating func failed(_ error: MQTTError, wasSlow: Bool = false, now: Instant) {
        switch (error.underlying as? MQTTCredentialError)?.kind {
        case .permanent?: permanentFailure = error
        case .transient(let retryAfter?)?: spare(until: now + retryAfter.clampedToWait, error.message)
        case .transient(nil)?, nil: break
        }
        guard wasSlow else { return }
        var slowness = slowness ?? Slowness(failures: 0, isSparedUntil: now)
        slowness.failed(now)
        self.slowness = slowness
    }

    /// Clears all obstacles to a request: the user asks for new credentials, and may have fixed their cause.
    mutating func forgive() {
        permanentFailure = nil
        sparedUntil = nil
        lastAsked = nil
        lastAskedAtOnce = nil
        refusals.removeAll()
    }

    /// Releases the tokens, which are not needed any more.
    mutating func forget() {
        token = nil
        lastRefused = nil
    }

    private mutating func spare(until instant: Instant, _ why: String) {
        sparedUntil = (max(instant, sparedUntil?.instant ?? instant), why)
    }

    private static func rounded(_ duration: Duration) -> Duration { .seconds(duration.components.seconds + 1) }
}

extension MQTTCredentials {
    /// Compares user name and password only: an expiry that moves with the clock does not make a password new.
    func areSame(as other: MQTTCredentials?) -> Bool {
        other.map { $0.username == username && $0.password == password } ?? false
    }
}

extension MQTTError {
    /// An error that delays the next request to the provider.
    static func credentials(_ message: String, retryAfter: Duration) -> MQTTError {
        var error = MQTTError(.credentials, message, phase: .credentials)
        error.underlying = MQTTCredentialError.transient(message, retryAfter: retryAfter)
        return error
    }

    /// The delay that the underlying error or the server's HTTP answer asks for.
    var retryAfter: Duration? {
        if let webSocket { return webSocket.retryAfter }
        return if case .transient(let time)? = (underlying as? MQTTCredentialError)?.kind { time } else { nil }
    }

    /// True if the underlying error is permanent.
    var isPermanent: Bool { (underlying as? MQTTCredentialError)?.kind == .permanent }
}
