// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// The buffer between the loop and the consumer of a subscription.
final class MessageBuffer: Sendable {
    enum Fullness: Comparable {
        case room
        /// Reading stops, unless the client waits for an answer of the broker, which is behind the unread bytes.
        case full
        /// Reading stops.
        case overfull
    }

    private struct State {
        var messages: [IncomingMessage] = []
        var bytes = 0
        var waiting: CheckedContinuation<Void, Never>?
        var isFinished = false
        /// The filters that the broker refused after granting them before.
        var refused: Set<String> = []
        /// The error that ended the buffer, if the broker refuses all filters.
        var ending: MQTTError?
        var fullness = Fullness.room
        var dropped = 0
        /// Number of dropped messages already reported to the metrics.
        var counted = 0
        /// Number of messages that were added.
        var received = 0
        /// Callers that wait until the consumer has handled all messages.
        var handled: [CheckedContinuation<Void, Never>] = []
    }

    /// The messages that the consumer took in one batch.
    private struct Taken {
        var messages: [IncomingMessage] = []
        var next = 0
        /// The receipt of the message that the consumer is handling.
        var receipt: Receipt?

        mutating func pop() -> MQTTMessage? {
            guard next < messages.count else { return nil }
            var incoming = IncomingMessage.none
            swap(&incoming, &messages[next])
            next += 1
            receipt = incoming.receipt
            return incoming.message
        }
    }

    let subscriptions: [MQTTSubscription]
    private let localFlag: Atomic<Bool>
    private let policy: MQTTBufferPolicy
    /// Notifies the loop that there is room again.
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())
    /// The consumer's batch, behind a lock that only the consumer takes. It is not part of an iterator: after a
    /// `break`, the next loop continues with the rest.
    private let taken = Mutex(Taken())

    init(
        _ subscriptions: [MQTTSubscription], isLocal: Bool = false, policy: MQTTBufferPolicy,
        wake: @escaping @Sendable () -> Void
    ) {
        self.subscriptions = subscriptions
        localFlag = Atomic(isLocal)
        self.policy = policy
        self.wake = wake
    }

    /// True if no SUBSCRIBE is sent for the filters, or no longer.
    var isLocal: Bool { localFlag.load(ordering: .relaxed) }

    /// Records that the filters are unsubscribed, and that the consumer still receives what the broker sends for them.
    /// Called by the loop, while no ``SubscriptionTable`` has the consumer.
    func becomeLocal() { localFlag.store(true, ordering: .relaxed) }

    var dropped: Int { state.withLock { $0.dropped } }

    /// Number of messages that were added so far.
    var received: Int { state.withLock { $0.received } }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    var ending: MQTTError? { state.withLock { $0.ending } }

    func has(_ filter: String) -> Bool { !isLocal && subscriptions.contains { $0.filter.filter == filter } }

    /// Returns the number of messages dropped since the last call.
    func takeDropped() -> Int {
        state.withLock { state in
            defer { state.counted = state.dropped }
            return state.dropped - state.counted
        }
    }

    var isIdle: Bool {
        taken.withLock { $0.next == $0.messages.count } && state.withLock { $0.messages.isEmpty }
    }

    /// Number of unread messages, including those of the consumer's current batch.
    var waiting: Int { taken.withLock { $0.messages.count - $0.next } + state.withLock { $0.messages.count } }

    /// The fullness of the buffer; always `room` if the policy drops messages.
    var fullness: Fullness { state.withLock { $0.fullness } }

    // MARK: The loop

    /// Adds messages in one batch. Returns true if ``fullness`` is above `room`.
    func append(_ messages: [IncomingMessage]) -> Bool {
        let (waiting, isFull, dropped) = state.withLock { state in
            // The loop passes no messages to a finished consumer.
            if state.isFinished { return (nil as CheckedContinuation<Void, Never>?, false, messages.prefix(0)) }
            if state.messages.isEmpty { state.messages = messages } else { state.messages += messages }
            for message in messages { state.bytes += message.memorySize }
            state.received += messages.count
            let dropped = policy.whenFull == .pauseReading ? [] : drop(&state)
            state.fullness = policy.whenFull == .pauseReading ? fullness(state) : .room
            defer { state.waiting = nil }
            return (state.waiting, state.fullness != .room, dropped)
        }
        // A message dropped by the policy counts as handled.
        for message in dropped { message.receipt?.settle(isHandled: true) }
        waiting?.resume()
        return isFull
    }

    private func fullness(_ state: State) -> Fullness {
        let (count, bytes) = (state.messages.count, state.bytes)
        if count < policy.capacity, bytes < policy.maximumBytes { return .room }
        return count < max(policy.capacity, Self.overflow) && bytes / 2 < policy.maximumBytes ? .full : .overfull
    }

    /// More messages than a broker can send ahead of an answer: 65,535 packet identifiers (MQTT 5.0, section 3.3.4).
    static let overflow = 65_536

    /// Drops messages until the rest fit. One message is always kept, however large.
    private func drop(_ state: inout State) -> ArraySlice<IncomingMessage> {
        var bytes = state.bytes
        var excess = 0
        let count = state.messages.count
        while count - excess > policy.capacity || bytes > policy.maximumBytes && count - excess > 1 {
            bytes -= state.messages[policy.whenFull == .dropOldest ? excess : count - 1 - excess].memorySize
            excess += 1
        }
        if excess == 0 { return [] }
        state.bytes = bytes
        state.dropped += excess
        let dropped: ArraySlice<IncomingMessage>
        if policy.whenFull == .dropOldest {
            dropped = state.messages.prefix(excess)
            state.messages.removeFirst(excess)
        } else {
            dropped = state.messages.suffix(excess)
            state.messages.removeLast(excess)
        }
        return dropped
    }

    /// Ends the buffer. Messages already buffered can still be read.
    func finish() {
        let waiting = state.withLock { state in
            state.isFinished = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// Records that the broker refuses a filter that it had granted. Returns true if no other filter is left, which
    /// ends the buffer.
    func refuse(_ filter: String, _ error: MQTTError) -> Bool {
        let isLast = state.withLock { state in
            state.refused.insert(filter)
            guard !state.isFinished, subscriptions.allSatisfy({ state.refused.contains($0.filter.filter) }) else {
                return false
            }
            var error = error
            error.refusedFilters = subscriptions.map(\.filter)
            state.ending = error
            return true
        }
        if isLast { finish() }
        return isLast
    }

    /// Records that the broker grants a filter again.
    func grant(_ filter: String) { state.withLock { _ = $0.refused.remove(filter) } }

    /// Ends the buffer for a consumer that has left, and has handled its last message or not. Returns the messages that
    /// it did not receive.
    func finish(hasHandledLast: Bool) -> [IncomingMessage] {
        finish()
        let (last, rest) = taken.withLock { taken in
            defer { taken = Taken() }
            return (taken.receipt, taken.messages[taken.next...])
        }
        last?.settle(isHandled: hasHandledLast)
        let (unread, handled) = state.withLock { state in
            defer { (state.messages, state.bytes, state.handled) = ([], 0, []) }
            return (state.messages, state.handled)
        }
        for caller in handled { caller.resume() }
        return rest + unread
    }

    /// Removes and returns the unread messages that wait for an acknowledgement.
    ///
    /// - Parameter includingExactlyOnce: true to include QoS 2. At a reconnect these messages stay: another consumer
    ///   may have received them.
    func takeUnacknowledged(includingExactlyOnce: Bool = false) -> [IncomingMessage] {
        func isOpen(_ message: IncomingMessage) -> Bool {
            message.receipt != nil && (includingExactlyOnce || message.message.qos == .atLeastOnce)
        }
        let handedOver = taken.withLock { taken in
            let open = taken.messages[taken.next...].filter(isOpen)
            if !open.isEmpty {
                taken.messages = taken.messages[taken.next...].filter { !isOpen($0) }
                taken.next = 0
            }
            return open
        }
        let waiting = state.withLock { state in
            let open = state.messages.filter(isOpen)
            guard !open.isEmpty else { return open }
            state.messages.removeAll(where: isOpen)
            state.bytes = state.messages.reduce(0) { $0 + $1.memorySize }
            state.fullness = policy.whenFull == .pauseReading ? fullness(state) : .room
            return open
        }
        return handedOver + waiting
    }

    /// Waits until the consumer has handled all messages and asks for the next one, or has left.
    func untilHandled() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                // A consumer that waits has taken all messages.
                if state.waiting != nil || state.isFinished { return true }
                state.handled.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    // MARK: The consumer

    /// The message that the consumer has is handled, whether or not another one is asked for.
    func settleLast() {
        let last = taken.withLock { taken in
            defer { taken.receipt = nil }
            return taken.receipt
        }
        last?.settle(isHandled: true)
    }

    /// Returns the next message, waiting for it if necessary; `nil` at the end, and when the task is cancelled. The
    /// previous message counts as handled.
    func next(isolation: isolated (any Actor)?) async -> MQTTMessage? {
        while true {
            let (message, last) = taken.withLock { taken in
                let last = taken.receipt
                taken.receipt = nil
                return (taken.pop(), last)
            }
            last?.settle(isHandled: true)
            if let message { return message }
            let batch = await nextBatch(isolation: isolation)
            if batch.isEmpty { return nil }
            taken.withLock { $0 = Taken(messages: batch) }
        }
    }

    /// Returns all buffered messages, waiting for the first one if necessary.
    private func nextBatch(isolation: isolated (any Actor)?) async -> [IncomingMessage] {
        while true {
            if Task.isCancelled { return [] }
            let (batch, isFinished, wasFull) = state.withLock { state in
                defer { state.fullness = .room }
                var batch: [IncomingMessage] = []
                swap(&batch, &state.messages)
                state.bytes = 0
                return (batch, state.isFinished, state.fullness != .room)
            }
            if wasFull { wake() }
            if !batch.isEmpty || isFinished { return batch }
            await withTaskCancellationHandler {
                await withCheckedContinuation(isolation: isolation) { continuation in
                    let (ready, handled) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
                        if state.isFinished || !state.messages.isEmpty || Task.isCancelled { return (true, []) }
                        // A second consumer at the same time is misuse, and ends its own sequence.
                        if state.waiting != nil { return (true, []) }
                        state.waiting = continuation
                        defer { state.handled = [] }
                        return (false, state.handled)
                    }
                    if ready { continuation.resume() }
                    for caller in handled { caller.resume() }
                }
            } onCancel: {
                let waiting = state.withLock { state in
                    defer { state.waiting = nil }
                    return state.waiting
                }
                waiting?.resume()
            }
            if state.withLock({ $0.waiting != nil }) { return [] }
        }
    }
}
