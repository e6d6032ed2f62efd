// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The bounded queue of outgoing messages between the callers and the loop, in the order of the calls.
///
/// A message is in one ``OutgoingPublish/Place`` at a time. The queue changes the place under its lock, together with
/// the message's list and all counts. Whoever removes a message from the queue becomes the owner of the message and of
/// its caller's continuation.
final class OutgoingQueue: Sendable {
    private struct State: ~Copyable {
        /// Messages in ``OutgoingPublish/Place/queued``, which count against the limits.
        var messages = PublishQueue()
        /// Messages in ``OutgoingPublish/Place/waiting``, which wait for room.
        var waiting = PublishQueue()
        var lastSequence: UInt64 = 0
        /// True if the loop has been notified of messages and has not taken all of them since.
        var isScheduled = false
        var isOffline = true
        /// Number of messages dropped for newer ones and not reported yet.
        var dropped = 0
        /// True while the loop checks `dropped` by itself.
        var isWatchingDrops = false
        /// The error with which the queue refuses new messages.
        var closed: MQTTError?
        var age = BacklogAge()
    }

    /// The outcome of a cancellation.
    enum Withdrawal {
        /// The message was not posted yet, and will not be posted.
        case unposted
        /// The message was in the queue, and its caller has received the error.
        case withdrawn
        /// The loop owns the message.
        case taken
        /// The message left the queue before, and the one that removed it resumes its caller.
        case gone
    }

    private let policy: MQTTQueuePolicy
    private let state = Mutex(State())

    private let metrics: ClientMetrics?

    init(_ policy: MQTTQueuePolicy, metrics: ClientMetrics? = nil) {
        self.policy = policy
        self.metrics = metrics
    }

    /// Number of messages that the loop has not taken, including those waiting for room.
    var length: Int { state.withLock { $0.messages.count + $0.waiting.count } }

    /// True if nothing is waiting.
    var isEmpty: Bool { length == 0 }

    /// Number of messages and bytes that count against the limits.
    var depth: (messages: Int, bytes: Int) { state.withLock { ($0.messages.count, $0.messages.bytes) } }

    /// The messages that the loop has not taken.
    struct Backlog {
        var messages: Int
        var bytes: Int
        /// The larger of the fractions of the two limits.
        var fill: Double
        /// The least age of the oldest message; `nil` without a message.
        var oldest: Duration?
    }

    /// Measures the backlog. A later call finds the messages of this one at least as old as the time between the two.
    func backlog(now: ContinuousClock.Instant) -> Backlog {
        state.withLock { state in
            let count = state.messages.count + state.waiting.count
            let bytes = state.messages.bytes + state.waiting.bytes
            let oldest = state.age.age(of: state.messages.first?.sequence, now: now)
            if count > 0 { state.age.note(state.lastSequence, at: now) }
            let fill = max(
                Double(count) / Double(max(policy.maximumMessages, 1)),
                Double(bytes) / Double(max(policy.maximumBytes, 1)))
            return Backlog(messages: count, bytes: bytes, fill: fill, oldest: oldest)
        }
    }

    /// True if a waiting message has a Message Expiry Interval.
    var hasExpiring: Bool { look().hasExpiring }

    /// The state of the queue at the beginning of a turn of the loop.
    struct Glance {
        var isEmpty: Bool
        var hasExpiring: Bool
        var hasDropped: Bool
    }

    func look() -> Glance {
        state.withLock { state in
            Glance(
                isEmpty: state.messages.isEmpty && state.waiting.isEmpty,
                hasExpiring: state.messages.expiring + state.waiting.expiring > 0, hasDropped: state.dropped > 0)
        }
    }

    // MARK: Callers

    /// Adds a message, with the caller that waits for its outcome. Returns true if the loop must be notified. After an
    /// error the caller owns the continuation again.
    func post(
        _ publish: OutgoingPublish, _ continuation: OutgoingPublish.Continuation? = nil
    ) throws(MQTTError) -> Bool {
        if metrics != nil { publish.startedAt = .now }
        var dropped: [OutgoingPublish] = []
        let outcome = state.withLock { state in
            Result { () throws(MQTTError) in try post(publish, continuation, to: &state, &dropped) }
        }
        if !dropped.isEmpty {
            metrics?.failed(Self.dropped, dropped.count)
            for old in dropped { old.complete(.failure(Self.dropped)) }
        }
        if case .failure(let error) = outcome { metrics?.failed(error) }
        return try outcome.get()
    }

    private func post(
        _ publish: OutgoingPublish, _ continuation: OutgoingPublish.Continuation?, to state: inout State,
        _ dropped: inout [OutgoingPublish]
    ) throws(MQTTError) -> Bool {
        // Reset below if the message is admitted.
        let isWithdrawn = publish.place == .gone
        publish.place = .gone
        if let closed = state.closed { throw closed }
        if isWithdrawn { throw Self.cancelled }
        if state.isOffline, !policy.queuesQoS0Offline, publish.qos == .atMostOnce { throw Self.notConnected }
        var place = OutgoingPublish.Place.queued
        var isFirstDrop = false
        if !state.waiting.isEmpty || !hasRoom(for: publish, state.messages) {
            switch policy.whenFull {
            case .suspend where continuation != nil: place = .waiting
            case .suspend, .refuse: throw full
            case .dropOldestQoS0:
                isFirstDrop = state.dropped == 0 && !state.isWatchingDrops
                dropped = try makeRoom(for: publish, &state)
            }
        }
        publish.continuation = continuation
        state.lastSequence += 1
        publish.sequence = state.lastSequence
        publish.place = place
        // Without a connection nothing empties the queue again and again: hardly any message reads the clock.
        if state.isOffline, state.messages.isEmpty { state.age.note(publish.sequence, at: .now) }
        if place == .queued { state.messages.append(publish) } else { state.waiting.append(publish) }
        // The loop must check expiry from now on.
        let isFirstToExpire = publish.isExpiring && state.messages.expiring + state.waiting.expiring == 1
        if place == .waiting { return isFirstToExpire }
        defer { state.isScheduled = true }
        return !state.isScheduled || isFirstToExpire || isFirstDrop
    }

    private func hasRoom(for publish: OutgoingPublish, _ messages: borrowing PublishQueue) -> Bool {
        hasRoom(for: publish, besides: messages.count, messages.bytes)
    }

    private func hasRoom(for publish: OutgoingPublish, besides count: Int, _ bytes: Int) -> Bool {
        count == 0 || count < policy.maximumMessages && bytes + publish.memorySize <= policy.maximumBytes
    }

    /// Drops the oldest messages of QoS 0 if that makes enough room. Returns the dropped messages.
    private func makeRoom(for publish: OutgoingPublish, _ state: inout State) throws(MQTTError) -> [OutgoingPublish] {
        let kept = (count: state.messages.acknowledged.count, bytes: state.messages.acknowledged.bytes)
        guard hasRoom(for: publish, besides: kept.count, kept.bytes) else { throw full }
        var dropped: [OutgoingPublish] = []
        while !hasRoom(for: publish, state.messages), let old = state.messages.popFirstAtMostOnce() {
            old.place = .gone
            dropped.append(old)
        }
        state.dropped += dropped.count
        return dropped
    }

    /// Ends the call for this message with an error, such as a cancellation.
    func withdraw(
        _ publish: OutgoingPublish, _ error: MQTTError = MQTTError(.cancelled, "the publish was cancelled")
    ) -> Withdrawal {
        let (withdrawal, continuation) = state.withLock { state in
            switch publish.place {
            case .new:
                publish.place = .gone
                return (Withdrawal.unposted, nil as OutgoingPublish.Continuation?)
            case .waiting:
                state.waiting.remove(publish)
            case .queued:
                state.messages.remove(publish)
                refill(&state)
            case .taken: return (.taken, nil)
            case .gone: return (.gone, nil)
            }
            publish.place = .gone
            return (.withdrawn, publish.takeContinuation())
        }
        continuation?.resume(returning: .failure(error))
        return withdrawal
    }

    // MARK: The loop

    /// Returns true if the outcome of a message was reported. Called by the loop, which owns the messages it has taken.
    func isOver(_ publish: OutgoingPublish) -> Bool {
        state.withLock { _ in publish.place == .gone || publish.place == .taken && publish.continuation == nil }
    }

    /// The messages that the loop may still take.
    struct Allowance {
        var messages: Int
        /// Number of payload bytes, which one message may exceed.
        var bytes: Int
        /// Number of messages of QoS 1 and 2, limited by the Receive Maximum.
        var acknowledged: Int
        /// Number of messages of QoS 2 among them.
        var exactlyOnce: Int

        func permits(_ publish: OutgoingPublish) -> Bool {
            guard messages > 0, bytes > 0 else { return false }
            switch publish.qos {
            case .atMostOnce: return true
            case .atLeastOnce: return acknowledged > 0
            case .exactlyOnce: return acknowledged > 0 && exactlyOnce > 0
            }
        }

        mutating func spend(on publish: OutgoingPublish) {
            messages -= 1
            bytes -= publish.payload.count
            if publish.qos == .atMostOnce { return }
            acknowledged -= 1
            if publish.qos == .exactlyOnce { exactlyOnce -= 1 }
        }
    }

    /// Takes the next messages for sending: at most `limit`, up to the first that the allowance does not permit. They
    /// no longer count against the limits, and waiting messages may move up.
    func take(_ limit: Int, _ allowance: inout Allowance, into taken: inout [OutgoingPublish]) {
        state.withLock { state in
            for _ in 0..<limit {
                guard let publish = state.messages.popFirst(if: allowance.permits) else { break }
                publish.place = .taken
                allowance.spend(on: publish)
                taken.append(publish)
            }
            refill(&state)
        }
    }

    /// Returns true if there is a next message and the allowance permits it.
    func hasNext(_ allowance: Allowance) -> Bool {
        state.withLock { $0.messages.first.map(allowance.permits) ?? false }
    }

    /// Moves waiting messages into free room.
    private func refill(_ state: inout State) {
        while let next = state.waiting.first, hasRoom(for: next, state.messages) {
            state.waiting.remove(next)
            next.place = .queued
            state.messages.append(next)
        }
        // If messages are left, the loop continues by itself.
        if state.messages.isEmpty { state.isScheduled = false }
    }

    /// Removes and returns the messages for which `isUnwanted` is true.
    private func remove(
        _ state: inout State, where isUnwanted: (OutgoingPublish) -> Bool
    ) -> [OutgoingPublish] {
        let removed = state.messages.remove(where: isUnwanted) + state.waiting.remove(where: isUnwanted)
        for publish in removed { publish.place = .gone }
        refill(&state)
        return removed
    }

    /// Removes and returns the expired messages.
    func removeExpired(_ now: ContinuousClock.Instant) -> [OutgoingPublish] {
        state.withLock { state in
            if state.messages.expiring + state.waiting.expiring == 0 { return [] }
            return remove(&state) { $0.hasExpired(now) }
        }
    }

    /// Records whether there is a connection. Returns the messages that do not wait for one.
    func setOffline(_ isOffline: Bool) -> [OutgoingPublish] {
        state.withLock { state in
            state.isOffline = isOffline
            if isOffline, !state.messages.isEmpty { state.age.note(state.lastSequence, at: .now) }
            guard isOffline, !policy.queuesQoS0Offline else { return [] }
            return remove(&state) { $0.qos == .atMostOnce }
        }
    }

    /// Returns the number of messages dropped since the last call. If it is not zero, the loop calls again by itself.
    func takeDropped() -> Int {
        state.withLock { state in
            defer { state.dropped = 0 }
            state.isWatchingDrops = state.dropped > 0
            return state.dropped
        }
    }

    /// Refuses new messages with this error. Waiting messages are still sent.
    func refuse(_ error: MQTTError) { state.withLock { $0.closed = $0.closed ?? error } }

    /// Refuses new messages with this error. Removes and returns the waiting messages.
    func close(_ error: MQTTError) -> [OutgoingPublish] {
        state.withLock { state in
            state.closed = error
            return remove(&state) { _ in true }
        }
    }

    // MARK: Errors

    static var notConnected: MQTTError {
        MQTTError(.notConnected, "there is no connection, and queue.queuesQoS0Offline is off")
    }

    static var cancelled: MQTTError { MQTTError(.cancelled, "the publish was cancelled") }

    private static var dropped: MQTTError {
        MQTTError(.queueFull, "the message was dropped from the full queue, for a newer one")
    }

    private var full: MQTTError {
        MQTTError(
            .queueFull,
            "\(policy.maximumMessages) messages or \(policy.maximumBytes) bytes wait to be published already; "
                + "see MQTTPublishingLimits.queue")
    }
}
