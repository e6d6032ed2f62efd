/// Decides what a client's connection does next: events in, actions out. No clock, no I/O, no logger; time and randomness
/// are given to it. One path serves the first connection and every later one.
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
        case connected
        /// Unacknowledged publishes are waited for, before the DISCONNECT.
        case draining(Ending)
        /// DISCONNECT was sent.
        case disconnecting(Ending)
        /// Until the next attempt.
        case waiting
        case stopped
    }

    /// Why a connection is ended on purpose.
    package enum Ending: Sendable, Hashable { case rotation, shutdown }

    package enum Timer: Sendable, Hashable, CaseIterable {
        case credentials, validity, attempt, phase, retry, turn, refresh, reauthentication, drain, close,
            firstConnection
    }

    package enum Action: Sendable {
        case emit(MQTTConnectionEvent.Kind)
        /// Ask the provider; the answer comes as `credentialsArrived`, `credentialsFailed`, or their rotation counterparts.
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
        /// Send DISCONNECT; `closed` when the broker has closed.
        case disconnect
        case setTimer(Timer, Duration)
        case cancelTimer(Timer)
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
    private(set) var attempt = 0
    private var connectedAt: Instant?
    var lastFailure: MQTTError?
    /// The attempt under way answers a refusal with fresh credentials: it is pointless with what was refused.
    private var needsFresh = false
    /// What the provider is told at the next attempt.
    private var purpose = MQTTConnectAttempt.Purpose.connect
    var isRefreshing = false
    /// How the credentials that are being asked for will replace the current ones.
    var rotation = MQTTRotation.reconnectNow
    var isReauthenticating = false
    /// How often in a row the broker refused to re-authenticate: after two it is not asked again.
    var reauthenticationRefusals = 0
    /// The budget has given the next attempt its turn, which is yet to come.
    private var hasTurn = false
    /// Whether the attempt after the rotation that is under way is made with the credentials at hand.
    var rotatesCredentials = true
    /// Since when there is no connection because of a rotation.
    var gapSince: Instant?

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
        hasTurn = false
        let started = MQTTConnectionAttemptStarted(
            attempt: attempt, isInitial: !decider.hasEverConnected, endpoint: endpoint)
        guard configuration.hasProvider, !hasCredentials else {
            state = .dialing(.resolve)
            return [.emit(.attemptStarted(started))] + dial()
        }
        state = .fetching
        return [
            .emit(.attemptStarted(started)), .setTimer(.credentials, configuration.timeouts.credentials),
            .fetchCredentials(context(purpose)),
        ]
    }

    func context(_ purpose: MQTTConnectAttempt.Purpose) -> MQTTConnectAttempt {
        MQTTConnectAttempt(
            number: max(attempt, 1), isInitial: !decider.hasEverConnected, endpoint: endpoint, purpose: purpose,
            lastFailure: lastFailure)
    }

    private mutating func dial() -> [Action] {
        state = .dialing(.resolve)
        purpose = .connect
        needsFresh = false
        return [
            .setTimer(.attempt, configuration.timeouts.attempt), .setTimer(.phase, configuration.timeouts.resolve),
            .dial(endpoint),
        ]
    }

    /// The provider answered. `unchanged`: with what the broker refused just before. That is not worth an attempt without
    /// a delay; after one it is, since a broker refuses good credentials too while it cannot check them. `usableIn`: they are
    /// not valid before.
    package mutating func credentialsArrived(
        unchanged: Bool, usableIn: Duration = .zero, now: Instant
    ) -> [Action] {
        guard case .fetching = state else { return [] }
        if unchanged, needsFresh {
            let error = MQTTError(
                .credentials, "the credential provider gave again what the broker has refused", phase: .credentials)
            return [.cancelTimer(.credentials)] + attemptFailed(error, now: now)
        }
        if usableIn > .zero { return [.cancelTimer(.credentials), .setTimer(.validity, usableIn)] }
        return [.cancelTimer(.credentials)] + dial()
    }

    mutating func credentialsFailed(_ error: MQTTError, now: Instant) -> [Action] {
        guard case .fetching = state else { return [] }
        return [.cancelTimer(.credentials)] + attemptFailed(error, now: now)
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
        state = .connected
        var info = info
        info.attempt = attempt
        attempt = 0
        decider.connected()
        connectedAt = now
        isRefreshing = false
        lastFailure = nil
        var actions: [Action] = [
            .cancelTimer(.attempt), .cancelTimer(.phase), .cancelTimer(.firstConnection), .emit(.connected(info)),
        ]
        if let gapSince {
            self.gapSince = nil
            refreshBackoff.reset()
            actions.append(.emit(.credentialsRotated(MQTTCredentialsRotated(gap: now - gapSince))))
        }
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
        let verdict = decider.attemptFailed(error, attempt: attempt, now: now)
        let failed = MQTTConnectionAttemptFailed(
            attempt: attempt, endpoint: from, error: error, decision: verdict.decision, retryIn: verdict.delay,
            redirectedTo: verdict.redirection)
        return [
            .cancelTimer(.credentials), .cancelTimer(.validity), .cancelTimer(.attempt), .cancelTimer(.phase),
            .tearDown,
            .emit(.attemptFailed(failed)),
        ] + follow(verdict, error)
    }

    /// An established connection has ended, not by us. `hasExpired`: its token had, which is a reason for the broker.
    /// `isOperationSuspected`: an operation that was under way may be a reason too.
    package mutating func connectionLost(
        _ error: MQTTError, hasExpired: Bool = false, isOperationSuspected: Bool = false, now: Instant
    ) -> [Action] {
        switch state {
        case .connected, .draining(.rotation): break
        case .draining(.shutdown), .disconnecting: return closed(now: now)
        default: return []
        }
        var error = error
        error.phase = .connected
        // The next attempt asks the provider anew, with a deadline of its own.
        isRefreshing = false
        if isReauthenticating {
            isReauthenticating = false
            if error.mayConcernReauthentication { return reauthenticationRefused(error, now: now) }
        }
        let from = endpoint
        let verdict = decider.connectionLost(
            &error, uptime: uptime(now), hasExpired: hasExpired, isOperationSuspected: isOperationSuspected, now: now)
        lastFailure = error
        let lost = MQTTDisconnection(
            endpoint: from, error: error, decision: verdict.decision, retryIn: verdict.delay,
            redirectedTo: verdict.redirection)
        return [
            .cancelTimer(.credentials), .cancelTimer(.validity), .cancelTimer(.refresh),
            .cancelTimer(.reauthentication), .cancelTimer(.drain), .tearDown,
            .emit(.disconnected(lost)),
        ] + follow(verdict, error, isOperationSuspected: isOperationSuspected)
    }

    private var attemptPhase: MQTTError.Phase? {
        switch state {
        case .fetching: .credentials
        case .dialing(let phase): phase
        default: nil
        }
    }

    private mutating func follow(
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
            state = .waiting
            return [.requestTurn(endpoint)]
        case .redirect:
            state = .waiting
            return [.requestTurn(endpoint)]
        case .retry:
            if error.code == .notAuthorized, !isOperationSuspected { purpose = .rejected }
            state = .waiting
            return [.setTimer(.retry, verdict.delay ?? .zero)]
        }
    }

    /// The budget's answer.
    package mutating func mayDial(after wait: Duration) -> [Action] {
        guard case .waiting = state else { return [] }
        hasTurn = wait > .zero
        return hasTurn ? [.setTimer(.turn, wait)] : beginAttempt()
    }

    /// The user knows that it is worth a try now.
    mutating func reconnectNow() -> [Action] {
        decider.reset()
        guard case .waiting = state, !hasTurn else { return [] }
        return [.cancelTimer(.retry), .requestTurn(endpoint)]
    }

    func uptime(_ now: Instant) -> Duration { connectedAt.map { now - $0 } ?? .zero }

    // MARK: Ending a connection

    /// All publishes in flight are acknowledged.
    mutating func drained(now: Instant) -> [Action] {
        guard case .draining(let ending) = state else { return [] }
        return beginDisconnecting(ending, close: configuration.timeouts.close, now: now)
    }

    private mutating func beginDisconnecting(_ ending: Ending, close: Duration, now: Instant) -> [Action] {
        state = .disconnecting(ending)
        if ending == .rotation { gapSince = now }
        return [.cancelTimer(.drain), .cancelTimer(.refresh), .setTimer(.close, close), .disconnect]
    }

    /// The connection that we ended is closed.
    mutating func closed(now: Instant) -> [Action] {
        switch state {
        case .draining(.shutdown), .disconnecting(.shutdown):
            return stop(nil)
        case .disconnecting(.rotation):
            decider.rotated(uptime: uptime(now), now: now)
            return [.cancelTimer(.close), .tearDown] + beginAttempt(withCredentials: rotatesCredentials)
        default:
            return []
        }
    }

    /// Ends the client. `isGraceful`: unacknowledged publishes are waited for; else the DISCONNECT is sent at once, and
    /// the broker's answer to it is hardly waited for.
    mutating func shutdown(isGraceful: Bool, now: Instant) -> [Action] {
        let quickClose = min(configuration.timeouts.close, .milliseconds(50))
        switch state {
        case .stopped: return []
        case .idle, .waiting: return stop(nil)
        case .fetching, .dialing:
            return endAttempt(MQTTError(.cancelled, "the client was shut down")) + stop(nil)
        case .connected, .draining(.rotation):
            isRefreshing = false
            isReauthenticating = false
            if !isGraceful { return beginDisconnecting(.shutdown, close: quickClose, now: now) }
            state = .draining(.shutdown)
            return [.setTimer(.drain, configuration.timeouts.drain), .drain]
        case .draining(.shutdown):
            return isGraceful ? [] : beginDisconnecting(.shutdown, close: quickClose, now: now)
        case .disconnecting:
            state = .disconnecting(.shutdown)
            return isGraceful ? [] : [.setTimer(.close, quickClose)]
        }
    }

    /// The final event of an attempt that is given up.
    private func endAttempt(_ error: MQTTError) -> [Action] {
        guard let phase = attemptPhase else { return [] }
        var error = error
        error.phase = phase
        let failed = MQTTConnectionAttemptFailed(
            attempt: attempt, endpoint: endpoint, error: error, decision: .stop, retryIn: nil)
        return [.emit(.attemptFailed(failed))]
    }

    mutating func stop(_ error: MQTTError?) -> [Action] {
        if case .stopped = state { return [] }
        state = .stopped
        return Timer.allCases.map { .cancelTimer($0) } + [.tearDown, .emit(.stopped(error)), .finish(error)]
    }

    // MARK: Time

    package mutating func timerFired(_ timer: Timer, now: Instant) -> [Action] {
        switch timer {
        case .retry:
            guard case .waiting = state else { return [] }
            return [.requestTurn(endpoint)]
        case .turn:
            guard case .waiting = state else { return [] }
            return beginAttempt()
        case .firstConnection:
            return decider.hasEverConnected ? [] : stopWithoutConnection()
        case .credentials:
            let message = "the credential provider took longer than \(configuration.timeouts.credentials)"
            if isRefreshing { return rotationFailed(message) }
            guard case .fetching = state else { return [] }
            return attemptFailed(MQTTError(.credentials, message, phase: .credentials), now: now)
        case .phase, .attempt:
            guard case .dialing(let phase) = state else { return [] }
            let what =
                switch phase {
                case .resolve: "the name look-up, or what TLS needs before it, took too long"
                case .connect: "the broker's host did not answer in time"
                case .tlsHandshake: "the TLS handshake took too long"
                default: "the broker sent no CONNACK in time"
                }
            return attemptFailed(MQTTError(.timeout, what, phase: phase), now: now)
        case .validity:
            switch state {
            case .connected: return isRefreshing ? rotate() : []
            case .fetching: return dial()
            default: return []
            }
        case .refresh: return refresh(configuration.rotation)
        case .reauthentication: return reauthenticationFailed()
        case .drain: return drained(now: now)
        case .close: return closed(now: now)
        }
    }

    private mutating func stopWithoutConnection() -> [Action] {
        guard case .waitUntilConnected(let limit) = configuration.firstConnection else { return [] }
        let error = MQTTError.noConnection(within: limit, lastFailure)
        return endAttempt(error) + stop(error)
    }
}
