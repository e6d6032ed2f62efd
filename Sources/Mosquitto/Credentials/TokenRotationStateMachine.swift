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
            lifetime.map { $0.hasPassed(fraction, since: receivedAt, now: now) } ?? true
        }
    }

    enum Step: Sendable {
        case use(Token)
        case ask
        /// Ask, and use this meanwhile: the provider took too long the last time.
        case useAndAsk(Token)
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
    /// When a refusal was answered with a question that came within the interval.
    private var lastAskedAtOnce: Instant?
    private var slowness: Slowness?

    /// A provider that took too long whenever it was asked, since it answered last.
    private struct Slowness {
        var failures: Int
        /// Not asked before, where a token at hand will do.
        var isSparedUntil: Instant

        /// 1 s, and twice as long each time, up to a minute.
        mutating func failed(_ now: Instant) {
            failures += 1
            isSparedUntil = now + .seconds(min(60, 1 << min(failures - 1, 6)))
        }
    }

    init(reuse: MQTTCredentialReuse, refreshAt fraction: Double? = nil) {
        self.reuse = reuse
        self.fraction = fraction ?? 1
    }

    /// An attempt or a rotation needs credentials. `refused`: what the broker did not accept, if it refused something since the
    /// last connection. `isAsking`: a question is under way, and `ask` means to wait for its answer.
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
            // What is valid goes on being used. A rotation wants something new.
            return held.map { .use($0) } ?? .fail(error)
        }
        if let slowness, let held, now < slowness.isSparedUntil { return .use(held) }
        if isWithinInterval(now) { lastAskedAtOnce = now }
        lastAsked = now
        if slowness != nil, let held { return .useAndAsk(held) }
        return .ask
    }

    /// How long an attempt would ask nobody, and have nothing to dial with; zero after a permanent failure, which has to be heard of.
    mutating func wait(refused: MQTTCredentials?, now: Instant) -> Duration {
        hear(refused, now: now)
        guard permanentFailure == nil, held(for: .connect, refused: refused, now: now) == nil,
            let obstacle = obstacle(isRefusal: refused != nil, now)
        else { return .zero }
        return obstacle.end - now
    }

    /// What can be used without asking anybody; nothing for a rotation, which wants something new.
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
        // The same refusal is heard of at each attempt until the next connection.
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

    /// Until when the provider is not asked, and why.
    private func obstacle(isRefusal: Bool, _ now: Instant) -> (end: Instant, why: String)? {
        if let (instant, why) = sparedUntil, now < instant { return (instant, why) }
        guard isWithinInterval(now), let lastAsked else { return nil }
        // A refusal is answered at once, by a provider of any kind; the interval guards the questions after that.
        if isRefusal, lastAskedAtOnce.map({ now - $0 >= interval }) ?? true { return nil }
        return (lastAsked + interval, "the issuer was asked just before")
    }

    private func isWithinInterval(_ now: Instant) -> Bool {
        guard reuse == .untilRefresh, let lastAsked else { return false }
        return now - lastAsked < interval
    }

    /// Tokens of a few seconds' life are for tests; they have to be asked for more often.
    private var interval: Duration {
        min(Self.minimumInterval, token?.lifetime.map { $0.remaining / 2 } ?? Self.minimumInterval)
    }

    /// The provider answered.
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
        // The same token again has not become younger.
        if let token, token.credentials.areSame(as: credentials), token.lifetime != nil { return token }
        token = new
        return new
    }

    /// The provider failed. `wasSlow`: after so long a time that a token at hand is used at once the next time.
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

    /// The user asks for new credentials: what stood in the way may have been put right.
    mutating func forgive() {
        permanentFailure = nil
        sparedUntil = nil
        lastAsked = nil
        lastAskedAtOnce = nil
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
