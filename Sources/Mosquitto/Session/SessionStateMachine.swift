// SPDX-License-Identifier: Apache-2.0

/// Decides the next steps of a client's connection: events in, actions out. No clock, no I/O, no logger; callers pass
/// the time and the source of randomness. The first connection and every later one take the same path.
///
/// ```
/// idle -> fetching -> dialing(resolve, connect, ..., upgrade, connack) -> connected -> draining -> disconnecting
///            ^            |                                                  |                          |
///            +- waiting <-+--------------------------------------------------+                          |
///            ^                                                                                          |
///            +--------------------------------- rotation -----------------------------------------------+
/// ```
/// Every state can go to `stopped`.
package struct SessionStateMachine: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package enum State: Sendable {
        case idle
        /// A request to the credential provider is in progress.
        case fetching
        case dialing(MQTTError.Phase)
        case connected(Rotation?)
        /// The client waits for unacknowledged publishes, before the DISCONNECT.
        case draining(Ending)
        /// The DISCONNECT is being sent, or the client waits for the broker to close.
        case disconnecting(Ending, Closing)
        /// The client waits for the next attempt. `hasTurn`: the budget has assigned a turn, which is yet to come.
        case waiting(hasTurn: Bool)
        case stopped
    }

    /// The reason for a deliberate end of a connection.
    package enum Ending: Sendable, Hashable {
        case rotation(RotationPurpose)
        case shutdown
    }

    /// The reason for a new connection.
    package enum RotationPurpose: Sendable, Hashable {
        /// New credentials have arrived.
        case credentials
        /// A new client certificate is ready.
        case identity
        /// The broker must redeliver unhandled messages; this is not reported as a rotation.
        case redelivery
    }

    /// The progress of new credentials for an established connection.
    package enum Rotation: Sendable, Hashable {
        /// A request to the provider is in progress, or its result is not valid yet; the value is the way in which it
        /// replaces the current credentials.
        case asking(MQTTRotation)
        /// The broker has yet to answer AUTH.
        case reauthenticating
    }

    /// The progress of a DISCONNECT.
    package struct Closing: Sendable, Hashable {
        /// The time for the broker to close its side, once the DISCONNECT has left.
        var limit: Duration
        var isSent = false
        /// True if the end is not graceful, and its timer is not prolonged.
        var isQuick = false
    }

    /// The interval without a connection caused by a rotation.
    struct Gap {
        var since: Instant
        var isTold: Bool
    }

    package enum Timer: Sendable, Hashable, CaseIterable {
        case validity, attempt, phase, retry, turn, refresh, reauthentication, drain, close,
            firstConnection
    }

    package enum Action: Sendable {
        case emit(MQTTConnectionEvent.Kind)
        /// Report whether there is a connection, for the messages that do not wait for one.
        case setOffline(Bool)
        /// Ask the provider; the result, which has its own deadline, arrives as `credentialsArrived`,
        /// `credentialsFailed`, or their rotation counterparts.
        case fetchCredentials(MQTTConnectAttempt)
        /// Resolve the name and connect with the current credentials.
        case dial(MQTTEndpoint)
        /// Ask the process's budget for a turn with this endpoint; the answer is `mayDial(after:)`.
        case requestTurn(MQTTEndpoint)
        /// End the attempt or connection at once.
        case tearDown
        /// The broker has accepted the connection: subscribe, publish, resume waiting callers.
        case establish(MQTTConnectionInfo)
        /// Send the new credentials in an AUTH packet; the answer is `reauthenticated` or `reauthenticationFailed`.
        case reauthenticate
        /// The rotation is complete: resume the callers that wait for it.
        case finishRotation
        /// Send no new message; `drained` when all are acknowledged.
        case drain
        /// Send DISCONNECT; `disconnectSent` when it has left, `closed` when the broker has closed.
        case disconnect
        case setTimer(Timer, Duration)
        case cancelTimer(Timer)
        /// No more is sent: report unsent and dropped messages.
        case countUnsent
        /// The end.
        case finish(MQTTError?)
    }

    package struct Configuration: Sendable {
        var endpoints: [MQTTEndpoint]
        var endpointOrder: MQTTEndpointOrder
        var redirects: MQTTRedirectPolicy
        var firstConnection: MQTTFirstConnection
        var retry: MQTTRetryPolicy
        var timeouts: MQTTTimeouts
        var hasProvider: Bool
        /// True if the request of a WebSocket handshake is prepared anew for each attempt.
        var hasPreparation: Bool
        /// True if the provider never returns other credentials.
        var hasFixedCredentials: Bool
        var hasClientCertificate: Bool
        var hasProxyAuthorization: Bool
        var rotation: MQTTRotation

        package init(_ configuration: MQTTClientConfiguration) {
            endpoints = configuration.endpoints
            endpointOrder = configuration.connection.endpointOrder
            redirects = configuration.connection.redirects
            firstConnection = configuration.connection.firstConnection
            retry = configuration.retry
            timeouts = configuration.timeouts
            hasPreparation = configuration.webSocket.prepare != nil
            hasProvider = configuration.credentials != nil || configuration.authenticator != nil || hasPreparation
            hasFixedCredentials = configuration.credentials is MQTTStaticCredentials
            hasClientCertificate = configuration.tls?.identity != nil
            hasProxyAuthorization = configuration.connection.proxy?.authorization != nil
            rotation = configuration.rotation.method
        }
    }

    let configuration: Configuration
    var decider: RetryDecider
    var refreshBackoff: Backoff
    var jitter: JitterGenerator

    var state = State.idle
    /// Attempts since the last established connection.
    var attempt = 0
    private var connectedAt: Instant?
    var lastFailure: MQTTError?
    /// The end of the delay before the next attempt.
    var retryAt: Instant?
    /// A change of the network during the attempt in progress, which may have begun too early for it.
    var missedChange: MQTTNetworkChange?
    /// True if the attempt in progress responds to rejected credentials with fresh ones, and is pointless with the
    /// rejected ones.
    private var needsFresh = false
    /// The purpose passed to the provider at the next attempt.
    private(set) var purpose = MQTTConnectAttempt.Purpose.connect
    /// True if the last request on this connection failed: the next one waits for its timer, if there is one.
    var isRefreshDelayed = false
    /// Number of consecutive refusals to re-authenticate: after two the client does not try again.
    var reauthenticationRefusals = 0
    /// Number of consecutive connections lost without a reason during a re-authentication.
    var reauthenticationLosses = 0
    /// Number of rotations to perform without re-authentication, after such losses.
    var reauthenticationPause = 0
    /// The gap from the end of a connection by a rotation until the next connection.
    var gap: Gap?
    /// True from a proxy's refusal of the authorization until a proxy opens a tunnel.
    var isProxyRefused = false
    /// True if a graceful shutdown waits for the attempt in progress, since messages are waiting to be sent.
    var isShuttingDown = false

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        decider = RetryDecider(configuration)
        jitter = JitterGenerator(seed: configuration.retry.seed)
        var refresh = MQTTRetryPolicy()
        refresh.minimumDelay = .seconds(1)
        refresh.maximumDelay = .seconds(60)
        refreshBackoff = Backoff(refresh)
    }

    /// The endpoint of the current attempt or connection, or of the next attempt.
    var endpoint: MQTTEndpoint { decider.endpoint }

    // MARK: Attempts

    package mutating func start(now: Instant) -> [Action] {
        guard case .idle = state else { return [] }
        decider.started(now: now)
        let actions = beginAttempt()
        guard case .waitUntilConnected(let limit) = configuration.firstConnection else { return actions }
        return [.setTimer(.firstConnection, limit)] + actions
    }

    mutating func beginAttempt(withCredentials hasCredentials: Bool = false) -> [Action] {
        attempt += 1
        missedChange = nil
        let started = MQTTConnectionAttemptStarted(
            attempt: attempt, isInitial: !decider.hasEverConnected, endpoint: endpoint)
        guard configuration.hasProvider, !hasCredentials else {
            state = .dialing(.resolve)
            return [.emit(.attemptStarted(started))] + dial()
        }
        state = .fetching
        return [.emit(.attemptStarted(started)), .fetchCredentials(context(purpose))]
    }

    mutating func dial() -> [Action] {
        state = .dialing(.resolve)
        purpose = .connect
        needsFresh = false
        let timeouts = configuration.timeouts
        // The proxy's authorization has the deadline of a credential provider.
        let asking = configuration.hasProxyAuthorization ? timeouts.credentials.clampedToWait : .zero
        return [
            .setTimer(.attempt, timeouts.attempt.clampedToWait + asking),
            .setTimer(.phase, timeouts.resolve.clampedToWait + asking), .dial(endpoint),
        ]
    }

    /// Handles the credentials of the provider. `unchanged`: they are those that the broker has just rejected. Such an
    /// attempt is not worthwhile without a delay; after a delay it is, since a broker also rejects valid credentials
    /// while it cannot check them. `usableIn`: the time until they become valid.
    package mutating func credentialsArrived(
        unchanged: Bool, usableIn: Duration = .zero, now: Instant
    ) -> [Action] {
        guard case .fetching = state else { return [] }
        if unchanged, needsFresh {
            let error = MQTTError(.credentials, refusedAgain, phase: .credentials)
            return attemptFailed(error, now: now)
        }
        return usableIn > .zero ? [.setTimer(.validity, usableIn)] : dial()
    }

    mutating func credentialsFailed(_ error: MQTTError, now: Instant) -> [Action] {
        guard case .fetching = state else { return [] }
        return attemptFailed(error, now: now)
    }

    /// Records that the attempt has reached a phase.
    package mutating func entered(_ phase: MQTTError.Phase) -> [Action] {
        guard case .dialing = state else { return [] }
        state = .dialing(phase)
        if phase != .resolve, phase != .connect { isProxyRefused = false }
        let timeouts = configuration.timeouts
        let limit =
            switch phase {
            case .credentials: timeouts.credentials
            case .resolve: timeouts.resolve
            case .connect: timeouts.connect
            case .tlsHandshake: timeouts.tlsHandshake
            case .upgrade: timeouts.upgrade
            case .connack, .connected: timeouts.connack
            }
        return [.setTimer(.phase, limit)]
    }

    /// Handles an accepting CONNACK. `refreshIn`: the time until the credentials must be rotated.
    package mutating func accepted(_ info: MQTTConnectionInfo, refreshIn: Duration?, now: Instant) -> [Action] {
        guard case .dialing = state else { return [] }
        state = isShuttingDown ? .draining(.shutdown) : .connected(nil)
        var info = info
        info.attempt = attempt
        attempt = 0
        decider.connected()
        connectedAt = now
        isRefreshDelayed = false
        lastFailure = nil
        var actions: [Action] = [
            .cancelTimer(.attempt), .cancelTimer(.phase), .cancelTimer(.firstConnection), .setOffline(false),
            .emit(.connected(info)),
        ]
        if let gap {
            self.gap = nil
            refreshBackoff.reset()
            if gap.isTold {
                actions.append(.emit(.credentialsRotated(MQTTCredentialsRotated(gap: now - gap.since))))
            }
        }
        if isShuttingDown { return actions + [.establish(info)] + beginShutdownDrain() }
        if let refreshIn { actions.append(.setTimer(.refresh, refreshIn)) }
        return actions + [.establish(info)]
    }

    /// Handles a failed attempt.
    package mutating func attemptFailed(_ error: MQTTError, now: Instant) -> [Action] {
        guard let phase = attemptPhase else { return [] }
        var error = error
        // A proxy's authorization, and what TLS needs, are asked for before an endpoint is dialled.
        error.phase = error.code == .credentials ? .credentials : phase
        if phase == .connect, error.isProxyAuthentication { isProxyRefused = true }
        lastFailure = error
        let from = endpoint
        var verdict = isShuttingDown ? .stop : decider.attemptFailed(error, attempt: attempt, now: now)
        // The provider would not be asked before that time.
        if case .retry = verdict.decision, let delay = verdict.delay, let retryAfter = error.retryAfter {
            verdict.delay = max(delay, retryAfter.clampedToWait)
        }
        let failed = MQTTConnectionAttemptFailed(
            attempt: attempt, endpoint: from, error: error, decision: verdict.decision, retryIn: verdict.delay,
            redirectedTo: verdict.redirection)
        let actions: [Action] = [
            .cancelTimer(.validity), .cancelTimer(.attempt), .cancelTimer(.phase), .tearDown,
            .setOffline(true), .emit(.attemptFailed(failed)),
        ]
        if isShuttingDown { return actions + stop(nil) }
        let next = follow(verdict, error, now: now)
        guard let missedChange else { return actions + next }
        return actions + next + networkChanged(missedChange, now: now)
    }

    /// Handles the loss of an established connection. `hasExpired`: its token had expired, which may be the broker's
    /// reason. `isOperationSuspected`: an operation in progress may be the reason too.
    package mutating func connectionLost(
        _ error: MQTTError, hasExpired: Bool = false, isOperationSuspected: Bool = false, now: Instant
    ) -> [Action] {
        let wasReauthenticating = isReauthenticating
        switch state {
        case .connected, .draining(.rotation): break
        case .draining(.shutdown), .disconnecting: return closed(now: now)
        default: return []
        }
        var error = error
        error.phase = .connected
        if wasReauthenticating, error.mayConcernReauthentication { return reauthenticationRefused(error, now: now) }
        let from = endpoint
        let verdict = decider.connectionLost(
            &error, uptime: uptime(now), hasExpired: hasExpired, isOperationSuspected: isOperationSuspected, now: now)
        lastFailure = error
        let lost = MQTTDisconnection(
            endpoint: from, error: error, decision: verdict.decision, retryIn: verdict.delay,
            redirectedTo: verdict.redirection)
        return [
            .cancelTimer(.validity), .cancelTimer(.refresh), .cancelTimer(.reauthentication), .cancelTimer(.drain),
            .tearDown, .setOffline(true), .emit(.disconnected(lost)),
        ] + follow(verdict, error, isOperationSuspected: isOperationSuspected, now: now)
    }

    var attemptPhase: MQTTError.Phase? {
        switch state {
        case .fetching: .credentials
        case .dialing(let phase): phase
        default: nil
        }
    }

    mutating func follow(
        _ verdict: RetryDecider.Verdict, _ error: MQTTError, isOperationSuspected: Bool = false, now: Instant
    ) -> [Action] {
        needsFresh = false
        switch verdict.decision {
        case .stop:
            return stop(error)
        case .retryWithFreshCredentials:
            // A rejected certificate, or a proxy's refusal, does not mean that the token was rejected.
            if error.code != .tlsAlert, error.code != .proxy { purpose = .rejected }
            needsFresh = concernsCredentials(error) && configuration.hasProvider
            state = .waiting(hasTurn: false)
            return [.requestTurn(endpoint)]
        case .redirect:
            state = .waiting(hasTurn: false)
            return [.requestTurn(endpoint)]
        case .retry:
            if concernsCredentials(error), !isOperationSuspected { purpose = .rejected }
            state = .waiting(hasTurn: false)
            retryAt = now + (verdict.delay ?? .zero)
            return [.setTimer(.retry, verdict.delay ?? .zero)]
        }
    }

    /// Handles the budget's answer.
    package mutating func mayDial(after wait: Duration) -> [Action] {
        guard case .waiting = state else { return [] }
        guard wait > .zero else { return beginAttempt() }
        state = .waiting(hasTurn: true)
        return [.setTimer(.turn, wait)]
    }

    /// Postpones the attempt: the provider must not be asked for this time, and there are no credentials to dial with.
    /// This does not count as an attempt.
    mutating func postponed(by wait: Duration) -> [Action] {
        guard case .waiting = state else { return [] }
        return [.setTimer(.retry, wait)]
    }

    /// Retries at once, on the user's request.
    mutating func reconnectNow() -> [Action] {
        decider.reset()
        guard case .waiting(hasTurn: false) = state else { return [] }
        return [.cancelTimer(.retry), .requestTurn(endpoint)]
    }

    func uptime(_ now: Instant) -> Duration { connectedAt.map { now - $0 } ?? .zero }
}
