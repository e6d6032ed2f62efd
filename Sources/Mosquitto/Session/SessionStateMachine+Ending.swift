// SPDX-License-Identifier: Apache-2.0

/// Deliberate end of a connection, by a rotation or a shutdown, and the end of the client.
extension SessionStateMachine {
    /// Handles the end of the drain: everything was sent and acknowledged.
    mutating func drained(now: Instant) -> [Action] {
        guard case .draining(let ending) = state else { return [] }
        return beginDisconnecting(ending, now: now)
    }

    /// Prolongs the wait while bytes leave the machine: a slow link is no reason to cut off a message.
    mutating func drainTimerFired(hasMoved: Bool, now: Instant) -> [Action] {
        if case .draining = state, hasMoved { return [.setTimer(.drain, configuration.timeouts.drain)] }
        // A shutdown that waited for a connection.
        if isShuttingDown, attemptPhase != nil || state.isDisconnecting { return stop(nil) }
        return drained(now: now)
    }

    func beginShutdownDrain() -> [Action] { [.setTimer(.drain, configuration.timeouts.drain), .drain] }

    /// Sends the DISCONNECT. Until it has left, the time limit is that of a drain without progress.
    private mutating func beginDisconnecting(_ ending: Ending, now: Instant) -> [Action] {
        let closing = Closing(limit: configuration.timeouts.close)
        state = .disconnecting(ending, closing)
        if case .rotation(let purpose) = ending { gap = Gap(since: now, isTold: purpose != .redelivery) }
        return [.cancelTimer(.drain), .cancelTimer(.refresh), .setTimer(.close, stall(closing)), .disconnect]
    }

    /// Closes a connection quickly: the wait for the broker's reaction to the DISCONNECT is short.
    private mutating func disconnectAtOnce() -> [Action] {
        let closing = Closing(limit: hurriedLimit, isQuick: true)
        state = .disconnecting(.shutdown, closing)
        return [.cancelTimer(.drain), .cancelTimer(.refresh), .setTimer(.close, closing.limit), .disconnect]
    }

    private var hurriedLimit: Duration { min(configuration.timeouts.close, .milliseconds(50)) }

    /// Returns the time limit without progress before the DISCONNECT has left.
    private func stall(_ closing: Closing) -> Duration { max(configuration.timeouts.drain, closing.limit) }

    /// Records that the DISCONNECT, and everything before it, was handed to the system.
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

    /// Records that the connection is closed after the client's DISCONNECT.
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

    /// Stops the client.
    ///
    /// `isGraceful`: the client waits for accepted messages; `hasUnsent`: there are such messages, for which an attempt
    /// in progress may continue. Otherwise the DISCONNECT is sent at once.
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

    /// Lets the attempt in progress, or the one after a rotation, continue for the time limit of a drain.
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
