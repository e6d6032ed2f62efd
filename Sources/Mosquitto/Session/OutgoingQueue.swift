import Synchronization

/// What waits to be published, between the callers and the loop: bounded, and in the order of the calls.
///
/// The loop takes messages a few at a time, and says when it has handed them over; until then they count. A message is whose
/// queue it is in: the lock guards it here, and the loop's thread owns it after ``take(_:)``.
final class OutgoingQueue: Sendable {
    private struct State {
        var messages = PublishQueue()
        /// Publishes for which there was no room.
        var waiting = PublishQueue()
        /// Messages and bytes that count against the limits.
        var count = 0
        var bytes = 0
        /// Messages that expire, waiting ones among them.
        var expiring = 0
        /// Whether the loop has been told that there is something.
        var isScheduled = false
        var isOffline = true
        /// Why nothing is taken any more.
        var closed: MQTTError?
    }

    /// Whose a cancelled message is.
    enum Withdrawal {
        /// It was not posted yet, and will not be.
        case unposted
        /// It was in the queue, and has been told.
        case withdrawn
        /// The loop's.
        case taken
    }

    private let policy: MQTTQueuePolicy
    private let state = Mutex(State())

    private let metrics: ClientMetrics?

    init(_ policy: MQTTQueuePolicy, metrics: ClientMetrics? = nil) {
        self.policy = policy
        self.metrics = metrics
    }

    /// How many messages the loop has not taken, those without room among them.
    var length: Int { state.withLock { $0.messages.count + $0.waiting.count } }

    /// Whether nothing waits.
    var isEmpty: Bool { state.withLock { $0.messages.isEmpty && $0.waiting.isEmpty } }

    /// Messages and bytes that wait, those that the loop has taken and not handed over among them.
    var depth: (messages: Int, bytes: Int) { state.withLock { ($0.count, $0.bytes) } }

    /// Whether any message that waits expires.
    var hasExpiring: Bool { state.withLock { $0.expiring > 0 } }

    // MARK: Callers

    /// Adds a message. Returns whether the loop has to be told.
    func post(_ publish: OutgoingPublish) throws(MQTTError) -> Bool {
        metrics?.begins(publish)
        var dropped: [OutgoingPublish] = []
        defer {
            for old in dropped {
                metrics?.failed(Self.dropped)
                old.complete(.failure(Self.dropped))
            }
        }
        let outcome = state.withLock { state in
            Result { () throws(MQTTError) in try post(publish, to: &state, &dropped) }
        }
        if case .failure(let error) = outcome { metrics?.failed(error) }
        return try outcome.get()
    }

    private func post(
        _ publish: OutgoingPublish, to state: inout State, _ dropped: inout [OutgoingPublish]
    ) throws(MQTTError) -> Bool {
        if let closed = state.closed { throw closed }
        if publish.stage == .withdrawn { throw MQTTError(.cancelled, "the publish was cancelled") }
        if state.isOffline, !policy.queuesQoS0Offline, publish.qos == .atMostOnce { throw Self.notConnected }
        if !state.waiting.isEmpty || !hasRoom(for: publish, state) {
            switch policy.whenFull {
            case .suspend where publish.continuation != nil:
                publish.stage = .waiting
                state.waiting.append(publish)
                return countExpiry(of: publish, &state)
            case .suspend, .refuse: throw full
            case .dropOldestQoS0:
                dropped = makeRoom(for: publish, &state)
                if !hasRoom(for: publish, state) { throw full }
            }
        }
        let isFirstToExpire = countExpiry(of: publish, &state)
        admit(publish, &state)
        defer { state.isScheduled = true }
        return !state.isScheduled || isFirstToExpire
    }

    /// Whether it is the only one that expires: the loop has to watch the time from now on.
    private func countExpiry(of publish: OutgoingPublish, _ state: inout State) -> Bool {
        if publish.expiry == nil { return false }
        state.expiring += 1
        return state.expiring == 1
    }

    private func hasRoom(for publish: OutgoingPublish, _ state: State) -> Bool {
        state.count == 0
            || state.count < policy.maximumMessages && state.bytes + publish.size <= policy.maximumBytes
    }

    private func admit(_ publish: OutgoingPublish, _ state: inout State) {
        publish.stage = .queued
        publish.counts = true
        state.messages.append(publish)
        state.count += 1
        state.bytes += publish.size
    }

    /// Drops the oldest of QoS 0, if that makes room.
    private func makeRoom(for publish: OutgoingPublish, _ state: inout State) -> [OutgoingPublish] {
        let (waiting, size) = (state.count, state.bytes + publish.size)
        let dropped = state.messages.removeFirst {
            $0.qos == .atMostOnce
        } until: { count, bytes in
            count == waiting
                || waiting - count < policy.maximumMessages && size - bytes <= policy.maximumBytes
        }
        for old in dropped { forget(old, &state) }
        return dropped
    }

    /// The call for this message ends with an error, such as a cancellation.
    func withdraw(
        _ publish: OutgoingPublish, _ error: MQTTError = MQTTError(.cancelled, "the publish was cancelled")
    ) -> Withdrawal {
        let (withdrawal, continuation) = state.withLock { state in
            defer { if publish.stage == .waiting || publish.stage == .queued { publish.stage = .withdrawn } }
            switch publish.stage {
            case .new:
                publish.stage = .withdrawn
                return (Withdrawal.unposted, nil as OutgoingPublish.Continuation?)
            case .waiting:
                state.waiting.cancel(publish)
                if publish.expiry != nil { state.expiring -= 1 }
                return (.withdrawn, publish.takeContinuation())
            case .queued:
                state.messages.cancel(publish)
                forget(publish, &state)
                admitWaiting(&state)
                return (.withdrawn, publish.takeContinuation())
            case .taken, .withdrawn: return (.taken, nil)
            }
        }
        continuation?.resume(returning: .failure(error))
        return withdrawal
    }

    // MARK: The loop

    /// Takes the next messages, at most so many.
    func take(_ count: Int) -> [OutgoingPublish] {
        state.withLock { state in
            state.isScheduled = false
            var taken: [OutgoingPublish] = []
            taken.reserveCapacity(min(count, state.messages.count))
            while taken.count < count, let publish = state.messages.popFirst() {
                publish.stage = .taken
                taken.append(publish)
            }
            return taken
        }
    }

    /// These taken messages wait no more; others may have their room.
    func release(_ publishes: [OutgoingPublish]) {
        if publishes.isEmpty { return }
        state.withLock { state in
            for publish in publishes { forget(publish, &state) }
            admitWaiting(&state)
        }
    }

    private func forget(_ publish: OutgoingPublish, _ state: inout State) {
        guard publish.counts else { return }
        publish.counts = false
        state.count -= 1
        state.bytes -= publish.size
        if publish.expiry != nil { state.expiring -= 1 }
    }

    private func admitWaiting(_ state: inout State) {
        while let next = state.waiting.first, hasRoom(for: next, state) {
            _ = state.waiting.popFirst()
            admit(next, &state)
        }
    }

    /// Takes out what has expired by now.
    func removeExpired(_ now: ContinuousClock.Instant) -> [OutgoingPublish] {
        state.withLock { state in
            var expired = state.messages.remove { $0.hasExpired(now) }
            for publish in expired { forget(publish, &state) }
            let late = state.waiting.remove { $0.hasExpired(now) }
            state.expiring -= late.count
            admitWaiting(&state)
            expired += late
            return expired
        }
    }

    /// There is a connection, or none. Returns the messages that do not wait for one.
    func setOffline(_ isOffline: Bool) -> [OutgoingPublish] {
        state.withLock { state in
            state.isOffline = isOffline
            guard isOffline, !policy.queuesQoS0Offline else { return [] }
            let unwanted = state.messages.remove { $0.qos == .atMostOnce }
            for publish in unwanted { forget(publish, &state) }
            let late = state.waiting.remove { $0.qos == .atMostOnce }
            state.expiring -= late.count { $0.expiry != nil }
            admitWaiting(&state)
            return unwanted + late
        }
    }

    /// From now on no message is added; those that wait are still sent.
    func refuse(_ error: MQTTError) { state.withLock { $0.closed = $0.closed ?? error } }

    /// From now on every message is refused with this error. Returns those that were waiting.
    func close(_ error: MQTTError) -> [OutgoingPublish] {
        state.withLock { state in
            state.closed = error
            (state.count, state.bytes, state.expiring) = (0, 0, 0)
            return state.messages.takeAll() + state.waiting.takeAll()
        }
    }

    // MARK: Errors

    static var notConnected: MQTTError {
        MQTTError(.notConnected, "there is no connection, and queue.queuesQoS0Offline is off")
    }

    private static var dropped: MQTTError {
        MQTTError(.queueFull, "the message was dropped from the full queue, for a newer one")
    }

    private var full: MQTTError {
        MQTTError(
            .queueFull,
            "\(policy.maximumMessages) messages or \(policy.maximumBytes) bytes wait to be published already; "
                + "see MQTTClientConfiguration.queue")
    }
}
