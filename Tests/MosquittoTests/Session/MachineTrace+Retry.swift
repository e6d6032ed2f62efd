@testable import Mosquitto

/// What tests of retries ask a trace for, and the stories that many of them begin with.
extension MachineTrace {
    // MARK: What the last event led to

    /// The decision that was told.
    var decision: MQTTRetryPolicy.Decision? {
        for action in actions {
            if case .emit(.attemptFailed(let failed)) = action { return failed.decision }
            if case .emit(.disconnected(let lost)) = action { return lost.decision }
        }
        return nil
    }

    /// The event of a lost connection.
    var lost: MQTTDisconnection? {
        for case .emit(.disconnected(let lost)) in actions { return lost }
        return nil
    }

    /// Where the event says that a redirection leads to.
    var redirectedTo: MQTTEndpoint? {
        for action in actions {
            if case .emit(.attemptFailed(let failed)) = action { return failed.redirectedTo }
            if case .emit(.disconnected(let lost)) = action { return lost.redirectedTo }
        }
        return nil
    }

    /// What was dialled.
    var dialed: MQTTEndpoint? {
        for case .dial(let endpoint) in actions { return endpoint }
        return nil
    }

    /// The endpoint that the provider was asked for.
    var askedFor: MQTTEndpoint? {
        for case .fetchCredentials(let attempt) in actions { return attempt.endpoint }
        return nil
    }

    /// The purpose that the provider was told.
    var purpose: MQTTConnectAttempt.Purpose? {
        for case .fetchCredentials(let attempt) in actions { return attempt.purpose }
        return nil
    }

    /// What the client ended with.
    var finished: MQTTError? {
        for case .finish(let error) in actions { return error }
        return nil
    }

    /// How many final events an attempt had.
    var finalEvents: Int {
        actions.count {
            switch $0 {
            case .emit(.attemptFailed), .emit(.connected): true
            default: false
            }
        }
    }

    // MARK: Stories

    /// The attempt under way reaches a phase and fails in it.
    mutating func fails(_ error: MQTTError, in phase: MQTTError.Phase = .connack) -> MQTTRetryPolicy.Decision? {
        _ = credentials()
        if phase != .resolve { _ = entered(phase) }
        failed(error)
        return decision
    }

    /// The connection is lost after a time.
    mutating func loses(
        _ error: MQTTError = MQTTError(.closed, "closed"), after uptime: Duration = .seconds(1),
        hasExpired: Bool = false, isOperationSuspected: Bool = false
    ) -> MQTTRetryPolicy.Decision? {
        advance(by: uptime)
        lost(error, hasExpired: hasExpired, isOperationSuspected: isOperationSuspected)
        return decision
    }

    /// Lets a delay pass, if there is one, so that the next attempt begins.
    mutating func waitForAttempt() {
        if timers[.retry] != nil { fire(.retry) }
        if timers[.turn] != nil { fire(.turn) }
    }

    /// Lets a delay pass, if there is one, and connects.
    mutating func reconnect() {
        waitForAttempt()
        connectAgain()
    }
}

extension MQTTError {
    /// A broker sends the client to another one.
    static func redirection(_ code: MQTTReasonCode = .useAnotherServer, to reference: String?) -> MQTTError {
        .disconnect(code, reference: reference)
    }
}
