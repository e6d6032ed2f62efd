/// The end of a connection on purpose, by a rotation or a shutdown, and the end of the client.
extension SessionStateMachine {
    /// Everything that had to be sent and acknowledged has been.
    mutating func drained(now: Instant) -> [Action] {
        guard case .draining(let ending) = state else { return [] }
        return beginDisconnecting(ending, now: now)
    }

    /// While bytes leave the machine, the wait goes on: a slow link is no reason to cut a message.
    mutating func drainTimerFired(hasMoved: Bool, now: Instant) -> [Action] {
        if case .draining = state, hasMoved { return [.setTimer(.drain, configuration.timeouts.drain)] }
        // A shutdown that waited for a connection.
        if isShuttingDown, attemptPhase != nil || state.isDisconnecting { return stop(nil) }
        return drained(now: now)
    }

    func beginShutdownDrain() -> [Action] { [.setTimer(.drain, configuration.timeouts.drain), .drain] }

    /// Until the DISCONNECT has left, as long as the drain before it may take without a byte that moves.
    private mutating func beginDisconnecting(_ ending: Ending, now: Instant) -> [Action] {
        let closing = Closing(limit: configuration.timeouts.close)
        state = .disconnecting(ending, closing)
        if case .rotation(let purpose) = ending { gap = Gap(since: now, isTold: purpose != .redelivery) }
        return [.cancelTimer(.drain), .cancelTimer(.refresh), .setTimer(.close, stall(closing)), .disconnect]
    }

    /// Ends a connection at once: the broker's answer to the DISCONNECT is hardly waited for.
    private mutating func disconnectAtOnce() -> [Action] {
        let closing = Closing(limit: hurriedLimit, isQuick: true)
        state = .disconnecting(.shutdown, closing)
        return [.cancelTimer(.drain), .cancelTimer(.refresh), .setTimer(.close, closing.limit), .disconnect]
    }

    private var hurriedLimit: Duration { min(configuration.timeouts.close, .milliseconds(50)) }

    /// Returns how long nothing may move before the DISCONNECT has left.
    private func stall(_ closing: Closing) -> Duration { max(configuration.timeouts.drain, closing.limit) }

    /// The DISCONNECT, and everything before it, was handed to the system.
    mutating func disconnectSent() -> [Action] {
        guard case .disconnecting(let ending, var closing) = state else { return [] }
        closing.isSent = true
        state = .disconnecting(ending, closing)
        return [.setTimer(.close, closing.limit)]
    }

    mutating func closeTimerFired(hasMoved: Bool, now: Instant) -> [Action] {
        if case .disconnecting(_, let closing) = state, hasMoved, !closing.isQuick {
            return [.setTimer(.close, closing.isSent ? closing.limit : stall(closing))]
        }
        return closed(now: now)
    }

    /// The connection that we ended is closed.
    mutating func closed(now: Instant) -> [Action] {
        switch state {
        case .draining(.shutdown), .disconnecting(.shutdown, _):
            return stop(nil)
        case .disconnecting(.rotation(let purpose), _):
            decider.rotated(uptime: uptime(now), now: now)
            return [.cancelTimer(.close), .tearDown] + beginAttempt(withCredentials: purpose == .credentials)
        default:
            return []
        }
    }

    /// Ends the client.
    ///
    /// `isGraceful`: messages that were accepted are waited for, and `hasUnsent` says whether there are any; they are
    /// worth the attempt under way. Otherwise the DISCONNECT is sent at once.
    mutating func shutdown(isGraceful: Bool, hasUnsent: Bool = false, now: Instant) -> [Action] {
        switch state {
        case .stopped: return []
        case .idle, .waiting: return stop(nil)
        case .fetching, .dialing:
            return isGraceful && hasUnsent ? waitForConnection() : stop(nil)
        case .connected, .draining(.rotation):
            if !isGraceful { return disconnectAtOnce() }
            state = .draining(.shutdown)
            return beginShutdownDrain()
        case .draining(.shutdown):
            return isGraceful ? [] : disconnectAtOnce()
        case .disconnecting(let ending, var closing):
            if case .rotation = ending, isGraceful, hasUnsent { return waitForConnection() }
            if !isGraceful {
                closing.limit = hurriedLimit
                closing.isQuick = true
            }
            state = .disconnecting(.shutdown, closing)
            return isGraceful ? [] : [.setTimer(.close, closing.limit)]
        }
    }

    /// The attempt under way, or the one after a rotation, goes on for as long as a drain may take.
    private mutating func waitForConnection() -> [Action] {
        if isShuttingDown { return [] }
        isShuttingDown = true
        return [.setTimer(.drain, configuration.timeouts.drain)]
    }

    mutating func stop(_ error: MQTTError?) -> [Action] {
        if case .stopped = state { return [] }
        state = .stopped
        return Timer.allCases.map { .cancelTimer($0) }
            + [.tearDown, .countUnsent, .emit(.stopped(error)), .finish(error)]
    }
}

extension SessionStateMachine.State {
    fileprivate var isDisconnecting: Bool { if case .disconnecting = self { true } else { false } }
}
