// SPDX-License-Identifier: Apache-2.0

/// Determines the reaction to a failure: calls the policy, and owns the state that its result depends on, from the
/// delays to the next endpoint. A value: callers pass the time, and the randomness has a seed.
struct RetryDecider: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// The reaction to a failure.
    struct Verdict: Sendable {
        var decision: MQTTRetryPolicy.Decision
        /// The delay before the next attempt; `nil` if there is none.
        var delay: Duration?
        /// The target of the broker's redirection, if it is followed.
        var redirection: MQTTEndpoint?

        static let stop = Verdict(decision: .stop)
    }

    private let policy: MQTTRetryPolicy
    private let failsFast: Bool
    private let hasProvider: Bool
    private let hasPreparation: Bool
    private let hasClientCertificate: Bool
    private let hasProxyAuthorization: Bool

    var generator: JitterGenerator
    private var backoff: Backoff
    private var endpoints: EndpointSelector
    private var history = FailureHistory()
    private(set) var hasEverConnected = false
    /// The time at which the last connection ended or the client started, for a limit by time.
    private var disconnectedAt: Instant?
    /// The end of the first of the connections that count as takeovers, for a limit by time.
    private var takenOverSince: Instant?
    private var authenticationFailures = 0
    /// True after rejected credentials were already replaced by fresh ones.
    private(set) var hasTriedFresh = false
    /// True after a rejected authorization for the proxy was already replaced.
    private var hasTriedFreshProxy = false

    struct Configuration: Sendable {
        var policy: MQTTRetryPolicy
        /// True if the first connection is not retried.
        var failsFast: Bool
        var hasProvider: Bool
        /// True if the request of a WebSocket handshake is prepared anew for each attempt.
        var hasPreparation = false
        var hasClientCertificate: Bool
        var hasProxyAuthorization: Bool
        var endpoints: [MQTTEndpoint]
        var endpointOrder: MQTTEndpointOrder
        var redirects: MQTTRedirectPolicy
    }

    init(_ configuration: Configuration) {
        policy = configuration.policy
        failsFast = configuration.failsFast
        hasProvider = configuration.hasProvider
        hasPreparation = configuration.hasPreparation
        hasClientCertificate = configuration.hasClientCertificate
        hasProxyAuthorization = configuration.hasProxyAuthorization
        generator = JitterGenerator(seed: policy.seed)
        backoff = Backoff(policy)
        endpoints = EndpointSelector(
            configuration.endpoints, order: configuration.endpointOrder, policy: configuration.redirects,
            using: &generator)
    }

    /// The endpoint of the current attempt or connection, or of the next attempt.
    var endpoint: MQTTEndpoint { endpoints.current }

    // MARK: Events

    mutating func started(now: Instant) { disconnectedAt = now }

    mutating func connected() { hasEverConnected = true }

    /// Restarts the delays.
    mutating func reset() {
        backoff.reset()
        history.connectionEnded()
    }

    mutating func attemptFailed(_ error: MQTTError, attempt: Int, now: Instant) -> Verdict {
        let isExhausted = isExhausted(attempt: attempt, since: disconnectedAt, now: now)
        let verdict = decide(error, attempt: attempt, isExhausted: isExhausted)
        // Without credentials no endpoint was dialled.
        if error.phase != .credentials, case .retry = verdict.decision { endpoints.attemptFailed() }
        return verdict
    }

    /// Records a lost connection that was up for `uptime`. `hasExpired`: its token had expired, which may be the
    /// broker's reason. The error may be replaced by a more precise one.
    mutating func connectionLost(
        _ error: inout MQTTError, uptime: Duration, hasExpired: Bool, isOperationSuspected: Bool, now: Instant
    ) -> Verdict {
        let isStable = uptime >= policy.resetAfter
        var isExhausted = self.isExhausted(attempt: 0, since: now, now: now)
        backoff.connectionLasted(uptime)
        endpointLasted(uptime)
        if isStable || hasExpired {
            history.reset()
        } else if history.looksLikeTakeover(error, isOperationSuspected: isOperationSuspected) {
            error.code = .sessionTakenOver
            error.message =
                "the broker closed \(FailureHistory.takeoverSuspicion) connections soon after it had accepted them, and"
                + " without a word: another client probably uses the same client identifier"
            // Each attempt of two clients that throw each other out succeeds: only the suspicion can reach a limit. It
            // does not while an operation may be the cause: the search for that one ends by itself.
            if !isOperationSuspected {
                if history.takeovers == 1 { takenOverSince = now }
                isExhausted = self.isExhausted(attempt: history.takeovers, since: takenOverSince, now: now)
            }
        }
        // A broker that accepts credentials and closes the connection at once must not be flooded with fresh ones.
        if uptime >= policy.minimumAuthenticationDelay { forgetRefusals() }
        disconnectedAt = now
        let verdict = decide(
            error, attempt: 1, isExhausted: isExhausted, hasExpired: hasExpired,
            isOperationSuspected: isOperationSuspected)
        if case .retry = verdict.decision {
            let leaving: [MQTTReasonCode] = [.serverShuttingDown, .useAnotherServer, .serverMoved]
            endpoints.connectionLost(isStable: isStable, isGoingAway: error.reasonCode.map(leaving.contains) ?? false)
        }
        return verdict
    }

    /// Records that the client closed the connection to change its credentials.
    mutating func rotated(uptime: Duration, now: Instant) {
        backoff.connectionLasted(uptime)
        history.connectionEnded()
        if uptime >= policy.resetAfter { history.reset() }
        endpointLasted(uptime)
        forgetRefusals()
        disconnectedAt = now
    }

    /// Uses `baseDelay` as a minimum: with a `resetAfter` of zero, a circle of redirections would have no delay at all.
    private mutating func endpointLasted(_ uptime: Duration) {
        if uptime >= max(policy.resetAfter, policy.baseDelay) { endpoints.connectionLasted() }
    }

    private mutating func forgetRefusals() {
        hasTriedFresh = false
        hasTriedFreshProxy = false
        authenticationFailures = 0
    }

    // MARK: Decisions

    private mutating func decide(
        _ error: MQTTError, attempt: Int, isExhausted: Bool, hasExpired: Bool = false,
        isOperationSuspected: Bool = false
    ) -> Verdict {
        history.record(error)
        if error.code == .notAuthorized { authenticationFailures += 1 }
        let decision = policy.decide(
            MQTTFailure(
                error: error, attempt: attempt, isInitial: !hasEverConnected,
                consecutiveAuthenticationFailures: authenticationFailures, repetitions: history.repetitions,
                hasExpired: hasExpired, isOperationSuspected: isOperationSuspected,
                hasCredentials: hasProvider, hasClientCertificate: hasClientCertificate,
                hasProxyAuthorization: hasProxyAuthorization))
        if isExhausted || failsFast && !hasEverConnected { return .stop }
        switch decision {
        case .stop:
            return .stop
        case .retry(let tier):
            return retry(tier)
        case .redirect:
            guard let target = target(of: error) else { return retry(.slow) }
            return Verdict(decision: .redirect, delay: .zero, redirection: target)
        case .retryWithFreshCredentials where error.code == .proxy:
            guard hasProxyAuthorization, !hasTriedFreshProxy else { return retry(.authentication) }
            hasTriedFreshProxy = true
            return Verdict(decision: decision, delay: .zero)
        case .retryWithFreshCredentials:
            // The files of a client certificate are read again before every attempt, if they have changed. An upgrade
            // that is refused has seen nothing of the provider but what the preparation has put into the request.
            let isRenewed = error.phase == .upgrade ? hasPreparation : hasProvider
            if isRenewed || hasClientCertificate, !hasTriedFresh {
                hasTriedFresh = true
                return Verdict(decision: decision, delay: .zero)
            }
            if error.code == .tlsAlert { return retry(.slow) }
            return retry(error.code == .closed || isOperationSuspected ? .standard : .authentication)
        }
    }

    private mutating func target(of error: MQTTError) -> MQTTEndpoint? {
        guard let webSocket = error.webSocket else {
            return endpoints.follow(error.serverReference, isPermanent: error.reasonCode == .serverMoved)
        }
        // RFC 9110, section 15.4: 301 and 308 are permanent.
        return webSocket.location.flatMap {
            endpoints.follow(location: $0, isPermanent: [301, 308].contains(error.httpStatus))
        }
    }

    private mutating func retry(_ tier: MQTTRetryPolicy.Tier) -> Verdict {
        Verdict(decision: .retry(tier), delay: backoff.next(tier, endpoints: endpoints.count, using: &generator))
    }

    private func isExhausted(attempt: Int, since start: Instant?, now: Instant) -> Bool {
        switch policy.limit {
        case .forever: false
        case .attempts(let limit): attempt >= limit
        case .elapsed(let limit): start.map { now - $0 >= limit } ?? false
        }
    }
}
