// SPDX-License-Identifier: Apache-2.0

/// Expiry of deadlines and delays.
extension SessionStateMachine {
    /// Handles a timer. `hasMoved`: bytes of this connection have left the machine since the timer was set.
    package mutating func timerFired(_ timer: Timer, hasMoved: Bool = false, now: Instant) -> [Action] {
        switch timer {
        case .retry:
            guard case .waiting = state else { return [] }
            return [.requestTurn(endpoint)]
        case .turn:
            guard case .waiting = state else { return [] }
            return beginAttempt()
        case .firstConnection:
            return decider.hasEverConnected ? [] : stopWithoutConnection()
        case .phase, .attempt:
            guard case .dialing(let phase) = state else { return [] }
            let what =
                switch phase {
                case .resolve: "the name look-up, or what TLS needs before it, took too long"
                case .connect: "the broker's host did not answer in time"
                case .tlsHandshake: "the TLS handshake took too long"
                case .upgrade: "the server did not answer the upgrade to a WebSocket in time"
                default: "the broker sent no CONNACK in time"
                }
            return attemptFailed(MQTTError(.timeout, what, phase: phase), now: now)
        case .validity:
            switch state {
            case .connected(.asking): return rotate()
            case .fetching: return dial()
            default: return []
            }
        case .refresh: return refresh(configuration.rotation)
        case .reauthentication: return reauthenticationFailed()
        case .drain: return drainTimerFired(hasMoved: hasMoved, now: now)
        case .close: return closeTimerFired(hasMoved: hasMoved, now: now)
        }
    }

    private mutating func stopWithoutConnection() -> [Action] {
        guard case .waitUntilConnected(let limit) = configuration.firstConnection else { return [] }
        let error = MQTTError.noConnection(within: limit, lastFailure)
        return endAttempt(error) + stop(error)
    }

    /// Returns the final event of an abandoned attempt.
    private func endAttempt(_ error: MQTTError) -> [Action] {
        guard let phase = attemptPhase else { return [] }
        var error = error
        error.phase = phase
        let failed = MQTTConnectionAttemptFailed(
            attempt: attempt, endpoint: endpoint, error: error, decision: .stop, retryIn: nil)
        return [.setOffline(true), .emit(.attemptFailed(failed))]
    }
}
