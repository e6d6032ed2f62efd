// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

/// Queries for tests of retries, and the event sequences with which many of these tests begin.
extension MachineTrace {
    // MARK: Results of the last event

    /// The retry decision in the event of the failure or the loss.
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

    /// The target of a redirection, as the event reports it.
    var redirectedTo: MQTTEndpoint? {
        for action in actions {
            if case .emit(.attemptFailed(let failed)) = action { return failed.redirectedTo }
            if case .emit(.disconnected(let lost)) = action { return lost.redirectedTo }
        }
        return nil
    }

    /// The endpoint that was dialled.
    var dialed: MQTTEndpoint? {
        for case .dial(let endpoint) in actions { return endpoint }
        return nil
    }

    /// The endpoint for which credentials were requested.
    var askedFor: MQTTEndpoint? {
        for case .fetchCredentials(let attempt) in actions { return attempt.endpoint }
        return nil
    }

    /// The purpose for which credentials were requested.
    var purpose: MQTTConnectAttempt.Purpose? {
        for case .fetchCredentials(let attempt) in actions { return attempt.purpose }
        return nil
    }

    /// The error with which the client ended.
    var finished: MQTTError? {
        for case .finish(let error) in actions { return error }
        return nil
    }

    /// Number of final events of an attempt.
    var finalEvents: Int {
        actions.count {
            switch $0 {
            case .emit(.attemptFailed), .emit(.connected): true
            default: false
            }
        }
    }

    // MARK: Event sequences

    /// Lets the current attempt reach a phase and fail in it.
    mutating func fails(_ error: MQTTError, in phase: MQTTError.Phase = .connack) -> MQTTRetryPolicy.Decision? {
        _ = credentials()
        if phase != .resolve { _ = entered(phase) }
        failed(error)
        return decision
    }

    /// Loses the connection after a time.
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
    /// Redirects the client to another broker.
    static func redirection(_ code: MQTTReasonCode = .useAnotherServer, to reference: String?) -> MQTTError {
        .disconnect(code, reference: reference)
    }
}
