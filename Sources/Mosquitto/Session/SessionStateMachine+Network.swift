// SPDX-License-Identifier: Apache-2.0

/// Changes of this machine's network.
extension SessionStateMachine {
    /// Handles a change after which an attempt may succeed: shortens the delay, if the last failure may have been one
    /// of the network. The new delay is drawn from ``MQTTRetryPolicy/minimumDelay`` ... ``MQTTRetryPolicy/baseDelay``,
    /// and the backoff goes on from where it was: an interface that comes and goes does not restart it.
    ///
    /// During an attempt the change is kept for the delay after it: a look-up or a SYN from before may still fail.
    package mutating func networkChanged(_ change: MQTTNetworkChange, now: Instant) -> [Action] {
        if attemptPhase != nil { missedChange = change }
        guard case .waiting(hasTurn: false) = state, let retryAt, lastFailure?.mayConcernNetwork == true else {
            return []
        }
        let policy = configuration.retry
        let bounds = (policy.minimumDelay / .milliseconds(1), policy.baseDelay / .milliseconds(1))
        let milliseconds = Double.random(in: bounds.0...max(bounds.0, bounds.1), using: &decider.generator)
        let delay = Duration.milliseconds(milliseconds)
        guard delay < retryAt - now else { return [] }
        self.retryAt = now + delay
        return [.emit(.delayEnded(MQTTDelayEnded(change: change, retryIn: delay))), .setTimer(.retry, delay)]
    }
}

extension MQTTError {
    /// True if the failure may go away with a change of the network between here and the broker, the issuer of tokens
    /// included. A broker that has spoken was reached, and so was a server that has told when to come back.
    var mayConcernNetwork: Bool {
        if reasonCode != nil || retryAfter != nil || isPermanent || [429, 503].contains(httpStatus) { return false }
        return switch code {
        case .dns, .connectionRefused, .networkUnreachable, .timeout, .closed, .keepAliveTimeout, .system: true
        // A captive portal, or another network's proxy, may have answered.
        case .proxy, .upgradeRefused, .tlsVerification, .tlsAlert, .tlsProtocol: true
        case .credentials: true
        default: false
        }
    }
}
