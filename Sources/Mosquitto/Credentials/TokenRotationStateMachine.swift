import FoundationEssentials

/// Decides when a credential provider is asked, and what is used meanwhile. No clock, no I/O: time is given to it.
///
/// It holds what the provider gave last, so that an answer is used for as long as it may be, and it spares an issuer that
/// has said no: for as long as that asked for, or for good.
struct TokenRotationStateMachine: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What the provider gave.
    struct Token: Sendable {
        var credentials: MQTTCredentials
        var receivedAt: Instant
        /// `nil` if nothing tells when they expire.
        var lifetime: TokenLifetime?
        /// Not valid before.
        var usableAt: Instant

        /// Whether it is known to be accepted for longer.
        func isAlive(_ now: Instant) -> Bool { lifetime.map { !$0.hasEnded(since: receivedAt, now: now) } ?? false }

        /// Whether it is time to replace it.
        func isDue(_ now: Instant, at fraction: Double) -> Bool {
            lifetime.map { now - receivedAt >= $0.remaining - $0.total * (1 - fraction) } ?? true
        }
    }

    enum Step: Sendable {
        case use(Token)
        case ask
        case fail(MQTTError)
    }

    /// How long an issuer is left alone after it was asked, unless its token is used up.
    static let minimumInterval = Duration.seconds(5)
    /// So many tokens that the issuer gave and the broker refused ...
    static let refusalLimit = 3
    /// ... within this time mean that the issuer cannot help: it is left alone for as long.
    static let refusalWindow = Duration.seconds(60)

    private let reuse: MQTTCredentialReuse
    /// The fraction of a token's life after which it is replaced.
    private let fraction: Double
    private(set) var token: Token?
    private var lastAsked: Instant?
    private var permanentFailure: MQTTError?
    /// The issuer is left alone until then.
    private var sparedUntil: (instant: Instant, why: String)?
    private var refusals: [Instant] = []
    private var lastRefused: MQTTCredentials?

    init(reuse: MQTTCredentialReuse, refreshAt fraction: Double? = nil) {
        self.reuse = reuse
        self.fraction = fraction ?? 1
    }

    /// An attempt or a rotation needs credentials. `refused`: what the broker did not accept, if it refused something since the
    /// last connection.
    mutating func need(_ purpose: MQTTConnectAttempt.Purpose, refused: MQTTCredentials?, now: Instant) -> Step {
        if let refused { note(refused, now: now) } else { lastRefused = nil }
        let held = held(refused, now)
        if reuse == .untilRefresh, purpose != .rotation, let held, !held.isDue(now, at: fraction) { return .use(held) }
        if let error = obstacle(now) {
            // What is valid goes on being used. A rotation wants something new.
            if purpose != .rotation, let held { return .use(held) }
            return .fail(error)
        }
        lastAsked = now
        return .ask
    }

    /// What can be used without asking anybody.
    private func held(_ refused: MQTTCredentials?, _ now: Instant) -> Token? {
        guard let token, token.isAlive(now), !token.credentials.areSame(as: refused) else { return nil }
        return token
    }

    private mutating func note(_ refused: MQTTCredentials, now: Instant) {
        // The same refusal is heard of at each attempt until the next connection.
        guard reuse == .untilRefresh, !refused.areSame(as: lastRefused) else { return }
        lastRefused = refused
        refusals.removeAll { now - $0 > Self.refusalWindow }
        refusals.append(now)
        if refusals.count >= Self.refusalLimit {
            spare(until: now + Self.refusalWindow, "the broker has refused \(refusals.count) tokens within a minute")
        }
    }

    /// Why the provider is not asked now.
    private func obstacle(_ now: Instant) -> MQTTError? {
        if let permanentFailure { return permanentFailure }
        if let (instant, why) = sparedUntil, now < instant {
            return .credentials(
                "\(why); it is asked again in \(Self.rounded(instant - now))", retryAfter: instant - now)
        }
        // Tokens of a few seconds' life are for tests; they have to be asked for more often.
        let interval = min(Self.minimumInterval, token?.lifetime.map { $0.remaining / 2 } ?? Self.minimumInterval)
        if reuse == .untilRefresh, let lastAsked, now - lastAsked < interval {
            let wait = interval - (now - lastAsked)
            return .credentials(
                "the issuer was asked just before; it is asked again in \(Self.rounded(wait))", retryAfter: wait)
        }
        return nil
    }

    /// The provider answered.
    mutating func received(_ credentials: MQTTCredentials, now: Instant, wall: Date) -> Token {
        permanentFailure = nil
        sparedUntil = nil
        let wait =
            credentials.password.flatMap { JWTClaims(token: $0) }?.wait(receivedAt: wall.timeIntervalSince1970)
            ?? .zero
        let new = Token(
            credentials: credentials, receivedAt: now, lifetime: TokenLifetime(credentials, receivedAt: wall),
            usableAt: now + wait)
        // The same token again has not become younger.
        if let token, token.credentials.areSame(as: credentials), token.lifetime != nil { return token }
        token = new
        return new
    }

    /// The provider failed. Returns what can be used all the same.
    mutating func failed(
        _ error: MQTTError, _ purpose: MQTTConnectAttempt.Purpose, refused: MQTTCredentials?, now: Instant
    ) -> Token? {
        switch (error.underlying as? MQTTCredentialError)?.kind {
        case .permanent?: permanentFailure = error
        case .transient(let retryAfter?)?: spare(until: now + retryAfter, error.message)
        case .transient(nil)?, nil: break
        }
        return purpose == .rotation ? nil : held(refused, now)
    }

    /// The user asks for new credentials: what stood in the way may have been put right.
    mutating func forgive() {
        permanentFailure = nil
        sparedUntil = nil
        lastAsked = nil
        refusals.removeAll()
    }

    private mutating func spare(until instant: Instant, _ why: String) {
        sparedUntil = (max(instant, sparedUntil?.instant ?? instant), why)
    }

    private static func rounded(_ duration: Duration) -> Duration { .seconds(duration.components.seconds + 1) }
}

extension MQTTCredentials {
    /// An expiry that moves with the clock does not make a password new.
    func areSame(as other: MQTTCredentials?) -> Bool {
        other.map { $0.username == username && $0.password == password } ?? false
    }
}

extension MQTTError {
    /// The provider, or what it asks, has to be left alone.
    static func credentials(_ message: String, retryAfter: Duration) -> MQTTError {
        var error = MQTTError(.credentials, message, phase: .credentials)
        error.underlying = MQTTCredentialError.transient(message, retryAfter: retryAfter)
        return error
    }

    /// How long its cause asked to be left alone.
    var retryAfter: Duration? {
        if case .transient(let time)? = (underlying as? MQTTCredentialError)?.kind { time } else { nil }
    }

    /// Whether its cause will not work until somebody changes something.
    var isPermanent: Bool { (underlying as? MQTTCredentialError)?.kind == .permanent }
}
