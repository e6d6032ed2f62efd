// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// State shared by a client's callers and its loop: the connection state, the event streams, and the queue.
final class SharedState: Sendable {
    private struct Observed {
        var state: MQTTConnectionState = .idle
        var health = HealthRecord(now: .now)
        var listeners: [Int: AsyncStream<MQTTConnectionEvent>.Continuation] = [:]
        var lastListener = 0
    }

    private let observed = Mutex(Observed())
    /// True if a service group has shut the client down.
    let isEndedByGroup = Atomic(false)
    /// True after a caller has started to run the client.
    let isClaimed = Atomic(false)
    /// True if a consumer has made room since the loop last checked.
    let isReaderWoken = Atomic(false)
    /// Number of requests that wait for their responses.
    let awaitedResponses = Atomic(0)
    let queue: OutgoingQueue

    let metrics: ClientMetrics?

    init(_ policy: MQTTQueuePolicy = MQTTQueuePolicy(), metrics: ClientMetrics? = nil) {
        queue = OutgoingQueue(policy, metrics: metrics)
        self.metrics = metrics
    }

    // MARK: State

    var state: MQTTConnectionState { observed.withLock { $0.state } }

    func setState(_ state: MQTTConnectionState) {
        observed.withLock { observed in
            observed.state = state
            observed.health.entered(state, now: .now)
        }
    }

    // MARK: Health

    func attemptFailed(_ error: MQTTError) { observed.withLock { $0.health.attemptFailed(error, now: .now) } }

    func connectionLost(_ error: MQTTError) { observed.withLock { $0.health.connectionLost(error, now: .now) } }

    func setTokenExpiry(_ expiry: ContinuousClock.Instant?) { observed.withLock { $0.health.tokenExpiry = expiry } }

    func health(now: ContinuousClock.Instant, date: Date) -> MQTTClientHealth {
        let backlog = queue.backlog(now: now)
        return observed.withLock { $0.health.snapshot($0.state, backlog, now: now, date: date) }
    }

    // MARK: Events

    /// Returns the events from now on, and a function that ends them before the client stops.
    func makeEventStream() -> (events: AsyncStream<MQTTConnectionEvent>, end: @Sendable () -> Void) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: MQTTConnectionEvent.self, bufferingPolicy: .bufferingNewest(1_024))
        let id: Int? = observed.withLock { observed in
            if case .stopped = observed.state { return nil }
            observed.lastListener += 1
            observed.listeners[observed.lastListener] = continuation
            return observed.lastListener
        }
        guard let id else {
            continuation.finish()
            return (stream, {})
        }
        continuation.onTermination = { [weak self] _ in
            self?.observed.withLock { $0.listeners[id] = nil }
        }
        return (stream, { continuation.finish() })
    }

    func emit(_ event: MQTTConnectionEvent) {
        let listeners = observed.withLock { Array($0.listeners.values) }
        for listener in listeners { listener.yield(event) }
        guard case .stopped = event.kind else { return }
        for listener in listeners { listener.finish() }
    }
}
