// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The history of a connection that ``MQTTClientHealth`` reports: states and failures in, snapshots out. A value:
/// callers pass the time.
struct HealthRecord: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A state without its data.
    private enum Kind: Hashable {
        case idle, waiting, connected, disconnecting, stopped
        case connecting(attempt: Int)

        init(_ state: MQTTConnectionState) {
            self =
                switch state {
                case .idle: .idle
                case .connecting(let attempt): .connecting(attempt: attempt)
                case .waiting: .waiting
                case .connected: .connected
                case .disconnecting: .disconnecting
                case .stopped: .stopped
                }
        }
    }

    /// On the heap: an error is large, and most clients have none.
    private final class Failure: Sendable {
        let error: MQTTError
        let time: Instant

        init(_ error: MQTTError, _ time: Instant) {
            self.error = error
            self.time = time
        }
    }

    private var kind = Kind.idle
    private var enteredAt: Instant
    private var disconnectedAt: Instant?
    private var hasConnected = false
    private var failedAttempts = 0
    private var lastFailure: Failure?
    /// The time at which the credentials expire; `nil` if it is unknown.
    var tokenExpiry: Instant?

    init(now: Instant) { enteredAt = now }

    /// Records the state, which may be the same as before.
    mutating func entered(_ state: MQTTConnectionState, now: @autoclosure () -> Instant) {
        let kind = Kind(state)
        guard kind != self.kind else { return }
        self.kind = kind
        enteredAt = now()
        guard kind == .connected else {
            disconnectedAt = disconnectedAt ?? enteredAt
            return
        }
        disconnectedAt = nil
        hasConnected = true
        failedAttempts = 0
    }

    mutating func attemptFailed(_ error: MQTTError, now: Instant) {
        failedAttempts += 1
        lastFailure = Failure(error, now)
    }

    mutating func connectionLost(_ error: MQTTError, now: Instant) { lastFailure = Failure(error, now) }

    func snapshot(
        _ state: MQTTConnectionState, _ backlog: OutgoingQueue.Backlog, now: Instant, date: Date
    ) -> MQTTClientHealth {
        MQTTClientHealth(
            time: date, state: state, stateDuration: now - enteredAt, outage: disconnectedAt.map { now - $0 },
            hasConnected: hasConnected, consecutiveFailures: failedAttempts,
            lastFailure: lastFailure.map { .init(error: $0.error, age: now - $0.time) },
            tokenExpiresIn: tokenExpiry.map { $0 - now }, queuedMessages: backlog.messages,
            queuedBytes: backlog.bytes, queueFill: backlog.fill, oldestQueued: backlog.oldest)
    }
}
