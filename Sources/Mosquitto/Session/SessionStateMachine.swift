/// Decides what a client's connection does next: events in, actions out. No clock, no I/O, no logger; time and
/// randomness are given to it. One path serves the first connection and every later one.
///
/// ```
/// idle -> fetching -> dialing(resolve, connect, tlsHandshake, connack) -> connected -> draining -> disconnecting
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
        /// The credential provider is being asked.
        case fetching
        case dialing(MQTTError.Phase)
        case connected(Rotation?)
        /// Unacknowledged publishes are waited for, before the DISCONNECT.
        case draining(Ending)
        /// DISCONNECT is on its way, or the broker's end of the connection is waited for.
        case disconnecting(Ending, Closing)
        /// Until the next attempt. `hasTurn`: the budget has given it its turn, which is yet to come.
        case waiting(hasTurn: Bool)
        case stopped
    }

    /// Why a connection is ended on purpose.
    package enum Ending: Sendable, Hashable {
        case rotation(RotationPurpose)
        case shutdown
    }

    /// Why a new connection is needed.
    package enum RotationPurpose: Sendable, Hashable {
        /// New credentials are at hand.
        case credentials
        /// A new client certificate is.
        case identity
        /// The broker sends again what was not handled: no rotation to tell of.
        case redelivery
    }

    /// New credentials of a connection that is up.
    package enum Rotation: Sendable, Hashable {
        /// The provider is being asked, or what it gave is not valid yet; then they replace the current ones so.
        case asking(MQTTRotation)
        /// The broker has yet to answer AUTH.
        case reauthenticating
    }

    /// The progress of a DISCONNECT.
    package struct Closing: Sendable, Hashable {
        /// The time that the broker has to close its side, once the DISCONNECT has left.
        var limit: Duration
        var isSent = false
        /// True if the end is not graceful: its timer is not prolonged.
        var isQuick = false
    }

    /// The time without a connection because of a rotation.
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
        /// There is a connection, or none, for the messages that do not wait for one.
        case setOffline(Bool)
        /// Ask the provider; the answer, which has a deadline of its own, comes as `credentialsArrived`,
        /// `credentialsFailed`, or their rotation counterparts.
        case fetchCredentials(MQTTConnectAttempt)
        /// Resolve and connect with the credentials at hand.
        case dial(MQTTEndpoint)
        /// Ask the process's budget for a turn with this endpoint; the answer is `mayDial(after:)`.
        case requestTurn(MQTTEndpoint)
        /// End the attempt or connection at once.
        case tearDown
        /// The broker has accepted: subscribe, publish, tell who waits.
        case establish(MQTTConnectionInfo)
        /// Send the new credentials in an AUTH packet; the answer is `reauthenticated` or `reauthenticationFailed`.
        case reauthenticate
        /// New credentials are in their place: tell who waits for that.
        case finishRotation
        /// Hand out nothing new; `drained` when all is acknowledged.
        case drain
        /// Send DISCONNECT; `disconnectSent` when it has left, `closed` when the broker has closed.
        case disconnect
        case setTimer(Timer, Duration)
        case cancelTimer(Timer)
        /// Nothing more is sent: report what was not, and what was dropped.
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
        /// The provider never has anything else to give.
        var hasFixedCredentials: Bool
        var hasClientCertificate: Bool
        var rotation: MQTTRotation

        package init(_ configuration: MQTTClientConfiguration) {
            endpoints = configuration.endpoints
            endpointOrder = configuration.endpointOrder
            redirects = configuration.redirects
            firstConnection = configuration.firstConnection
            retry = configuration.retry
            timeouts = configuration.timeouts
            hasProvider = configuration.credentials != nil || configuration.authenticator != nil
            hasFixedCredentials = configuration.credentials is MQTTStaticCredentials
            hasClientCertificate = configuration.tls?.identity != nil
            rotation = configuration.rotation
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
    /// The attempt under way answers a refusal with fresh credentials: it is pointless with what was refused.
    private var needsFresh = false
    /// The reason that the provider is given at the next attempt.
    private(set) var purpose = MQTTConnectAttempt.Purpose.connect
    /// The last question of this connection has failed: the next one waits for its timer, if there is one.
    var isRefreshDelayed = false
    /// Times in a row that the broker refused to re-authenticate: after two it is not asked again.
    var reauthenticationRefusals = 0
    /// Times in a row that a connection was lost without a word while the broker was asked for it.
    var reauthenticationLosses = 0
    /// Rotations that are made without asking, after such losses.
    var reauthenticationPause = 0
    /// Since a rotation has ended a connection, until the next one.
    var gap: Gap?
    /// A graceful shutdown waits for the attempt under way, since messages wait to be sent.
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

    /// The endpoint of the attempt or connection, or of the next attempt.
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
        let started = MQTTConnectionAttemptStarted(
            attempt: attempt, isInitial: !decider.hasEverConnected, endpoint: endpoint)
        guard configuration.hasProvider, !hasCredentials else {
            state = .dialing(.resolve)
            return [.emit(.attemptStarted(started))] + dial()
        }
        state = .fetching
        return [.emit(.attemptStarted(started)), .fetchCredentials(context(purpose))]
    }

    func context(_ purpose: MQTTConnectAttempt.Purpose) -> MQTTConnectAttempt {
        MQTTConnectAttempt(
            number: max(attempt, 1), isInitial: !decider.hasEverConnected, endpoint: endpoint, purpose: purpose,
            lastFailure: lastFailure)
    }

    mutating func dial() -> [Action] {
        state = .dialing(.resolve)
        purpose = .connect
        needsFresh = false
        return [
            .setTimer(.attempt, configuration.timeouts.attempt), .setTimer(.phase, configuration.timeouts.resolve),
            .dial(endpoint),
        ]
    }

    /// The provider answered. `unchanged`: with what the broker refused just before. That is not worth an attempt
    /// without a delay; after one it is, since a broker refuses good credentials too while it cannot check them.
    /// `usableIn`: they are not valid before.
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

    private var refusedAgain: String {
        configuration.hasFixedCredentials
            ? "the user name or password is wrong at the broker; the configured credentials never change:"
                + " correct them here or at the broker"
            : "the credential provider gave again what the broker has refused; look for a wrong user name, key or audience,"
                + " or for what keeps the provider from getting new ones"
    }

    mutating func credentialsFailed(_ error: MQTTError, now: Instant) -> [Action] {
        guard case .fetching = state else { return [] }
        return attemptFailed(error, now: now)
    }

    /// The attempt has reached a phase.
    package mutating func entered(_ phase: MQTTError.Phase) -> [Action] {
        guard case .dialing = state else { return [] }
        state = .dialing(phase)
        let timeouts = configuration.timeouts
        let limit =
            switch phase {
            case .credentials: timeouts.credentials
            case .resolve: timeouts.resolve
            case .connect: timeouts.connect
            case .tlsHandshake: timeouts.tlsHandshake
            case .connack, .connected: timeouts.connack
            }
        return [.setTimer(.phase, limit)]
    }

    /// A CONNACK accepted. `refreshIn`: when the credentials are to be rotated.
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

    /// The attempt under way has failed.
    package mutating func attemptFailed(_ error: MQTTError, now: Instant) -> [Action] {
        guard let phase = attemptPhase else { return [] }
        var error = error
        error.phase = phase
        lastFailure = error
        let from = endpoint
        var verdict = isShuttingDown ? .stop : decider.attemptFailed(error, attempt: attempt, now: now)
        // Before that nobody would be asked.
        if case .retry = verdict.decision, let delay = verdict.delay, let retryAfter = error.retryAfter {
            verdict.delay = max(delay, retryAfter.clampedToWait)
        }
        let failed = MQTTConnectionAttemptFailed(
            attempt: attempt, endpoint: from, error: error, decision: verdict.decision, retryIn: verdict.delay,
            redirectedTo: verdict.redirection)
        return [
            .cancelTimer(.validity), .cancelTimer(.attempt), .cancelTimer(.phase), .tearDown,
            .setOffline(true), .emit(.attemptFailed(failed)),
        ] + (isShuttingDown ? stop(nil) : follow(verdict, error))
    }

    /// An established connection has ended, not by us. `hasExpired`: its token had, which is a reason for the broker.
    /// `isOperationSuspected`: an operation that was under way may be a reason too.
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
        ] + follow(verdict, error, isOperationSuspected: isOperationSuspected)
    }

    var attemptPhase: MQTTError.Phase? {
        switch state {
        case .fetching: .credentials
        case .dialing(let phase): phase
        default: nil
        }
    }

    mutating func follow(
        _ verdict: RetryDecider.Verdict, _ error: MQTTError, isOperationSuspected: Bool = false
    ) -> [Action] {
        needsFresh = false
        switch verdict.decision {
        case .stop:
            return stop(error)
        case .retryWithFreshCredentials:
            // A refused certificate says nothing of the token.
            if error.code != .tlsAlert { purpose = .rejected }
            needsFresh = error.code == .notAuthorized && configuration.hasProvider
            state = .waiting(hasTurn: false)
            return [.requestTurn(endpoint)]
        case .redirect:
            state = .waiting(hasTurn: false)
            return [.requestTurn(endpoint)]
        case .retry:
            if error.code == .notAuthorized, !isOperationSuspected { purpose = .rejected }
            state = .waiting(hasTurn: false)
            return [.setTimer(.retry, verdict.delay ?? .zero)]
        }
    }

    /// The budget's answer.
    package mutating func mayDial(after wait: Duration) -> [Action] {
        guard case .waiting = state else { return [] }
        guard wait > .zero else { return beginAttempt() }
        state = .waiting(hasTurn: true)
        return [.setTimer(.turn, wait)]
    }

    /// The provider is left alone for so long, and there is nothing to dial with: that is no attempt.
    mutating func postponed(by wait: Duration) -> [Action] {
        guard case .waiting = state else { return [] }
        return [.setTimer(.retry, wait)]
    }

    /// The user knows that it is worth a try now.
    mutating func reconnectNow() -> [Action] {
        decider.reset()
        guard case .waiting(hasTurn: false) = state else { return [] }
        return [.cancelTimer(.retry), .requestTurn(endpoint)]
    }

    func uptime(_ now: Instant) -> Duration { connectedAt.map { now - $0 } ?? .zero }
}
