// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A snapshot of a client for probes and status pages; see ``MQTTClient/health``. It contains no token and no password.
public struct MQTTClientHealth: Sendable {
    /// A failure of the connection.
    public struct Failure: Sendable {
        /// The error, with the phase in which it occurred.
        public var error: MQTTError
        /// The time since the failure.
        public var age: Duration
    }

    /// The time of the snapshot, by the wall clock. All durations below are measured by a clock that nobody sets.
    public var time: Date
    /// The state of the connection.
    public var state: MQTTConnectionState
    /// The time that the client has been in ``state``. Each attempt, and each wait between two, is a new state.
    public var stateDuration: Duration
    /// The time without a connection: since the last connection ended, or since the client started. `nil` while
    /// connected, and before the start. The gap of a rotation counts too.
    public var outage: Duration?
    /// True if the client has connected at least once.
    public var hasConnected: Bool
    /// Number of attempts that failed since the last connection; 0 while connected.
    public var consecutiveFailures: Int
    /// The last failed attempt or lost connection since the start; `nil` if there was none. It is kept after the next
    /// connection.
    public var lastFailure: Failure?
    /// The time until the credentials that the client last received expire, negative from then on. `nil` if they have
    /// no known expiry. With ``MQTTRotation/onNextConnect`` a token expires while its connection is up.
    public var tokenExpiresIn: Duration?
    /// Number of messages in the queue, including those of calls that wait for room. Messages handed to the connection
    /// do not count, nor do those that returned when a connection ended: of QoS 1 and 2 at most
    /// ``MQTTPublishingLimits/maximumInFlight``.
    public var queuedMessages: Int
    /// The memory of these messages in bytes, counted as for ``MQTTQueuePolicy/maximumBytes``.
    public var queuedBytes: Int
    /// The fraction of the queue that is in use: the larger of the fractions of ``MQTTQueuePolicy/maximumMessages`` and
    /// ``MQTTQueuePolicy/maximumBytes``. Above 1 while calls wait for room.
    public var queueFill: Double
    /// The least age of the oldest message in the queue; `nil` if the queue is empty.
    ///
    /// Messages have no time of their own, which would cost each publish a reading of the clock. The age is exact for
    /// the first message of an outage; for any other it counts from the first snapshot, or the loss of a connection,
    /// that found the message in the queue.
    public var oldestQueued: Duration?

    /// The time at which the client entered ``state``, by the wall clock of now.
    public var since: Date { time - stateDuration / .seconds(1) }

    /// True if there is no obstacle to readiness; see ``obstacle(to:)``.
    public func isReady(_ policy: MQTTReadinessPolicy = .connected) -> Bool { obstacle(to: policy) == nil }

    /// Returns the first requirement of the policy that the client does not meet, or `nil` if it meets all of them.
    public func obstacle(to policy: MQTTReadinessPolicy) -> MQTTReadinessPolicy.Obstacle? {
        policy.obstacle(to: readiness)
    }

    /// The part of the snapshot that decides about readiness.
    private var readiness: MQTTReadinessPolicy.Facts {
        let phase: MQTTReadinessPolicy.Facts.Phase =
            switch state {
            case .idle: .idle
            case .stopped: .stopped
            case .connecting, .waiting, .connected, .disconnecting: .running
            }
        return MQTTReadinessPolicy.Facts(
            phase: phase, outage: outage, hasConnected: hasConnected, tokenExpiresIn: tokenExpiresIn,
            queueFill: queueFill, oldestQueued: oldestQueued)
    }
}
