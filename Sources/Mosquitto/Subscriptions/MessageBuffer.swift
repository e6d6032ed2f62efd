import DequeModule
import Synchronization

/// The messages between the loop and the consumer of one subscription.
final class MessageBuffer: Sendable {
    enum Fullness: Comparable {
        case room
        /// Reading stops, unless the client waits for an answer of the broker: it is behind what is not read.
        case full
        /// Reading stops.
        case overfull
    }

    private struct State {
        var messages: [IncomingMessage] = []
        var bytes = 0
        var waiting: CheckedContinuation<Void, Never>?
        var isFinished = false
        /// The filters that the broker refused after it had granted them.
        var refused: Set<String> = []
        /// Why nothing follows, if the broker refuses all filters.
        var ending: MQTTError?
        var fullness = Fullness.room
        var dropped = 0
        /// How many of these the metrics have.
        var counted = 0
    }

    /// What the consumer has taken in one go.
    private struct Taken {
        var messages: [IncomingMessage] = []
        var next = 0
        /// Of the message that the consumer has now.
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
    /// Whether the broker is not to be asked for them.
    let isLocal: Bool
    private let policy: MQTTBufferPolicy
    /// Tells the loop that there is room again.
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())
    /// A lock that only the consumer takes, and not part of an iterator: who breaks out of a loop finds the rest in the next one.
    private let taken = Mutex(Taken())

    init(
        _ subscriptions: [MQTTSubscription], isLocal: Bool = false, policy: MQTTBufferPolicy,
        wake: @escaping @Sendable () -> Void
    ) {
        self.subscriptions = subscriptions
        self.isLocal = isLocal
        self.policy = policy
        self.wake = wake
    }

    var dropped: Int { state.withLock { $0.dropped } }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    var ending: MQTTError? { state.withLock { $0.ending } }

    func has(_ filter: String) -> Bool { !isLocal && subscriptions.contains { $0.filter.filter == filter } }

    /// How many were dropped since the last call.
    func takeDropped() -> Int {
        state.withLock { state in
            defer { state.counted = state.dropped }
            return state.dropped - state.counted
        }
    }

    var isIdle: Bool {
        taken.withLock { $0.next == $0.messages.count } && state.withLock { $0.messages.isEmpty }
    }

    /// How many messages wait, those that the consumer has taken in one go and not looked at among them.
    var waiting: Int { taken.withLock { $0.messages.count - $0.next } + state.withLock { $0.messages.count } }

    /// Always `room` if the policy drops.
    var fullness: Fullness { state.withLock { $0.fullness } }

    // MARK: The loop

    /// Adds messages in one go. Returns whether ``fullness`` is more than `room`.
    func append(_ messages: [IncomingMessage]) -> Bool {
        let (waiting, isFull, dropped) = state.withLock { state in
            // The loop gives a consumer that is finished nothing more.
            if state.isFinished { return (nil as CheckedContinuation<Void, Never>?, false, messages.prefix(0)) }
            if state.messages.isEmpty { state.messages = messages } else { state.messages += messages }
            for message in messages { state.bytes += message.size }
            let dropped = policy.whenFull == .pauseReading ? [] : drop(&state)
            state.fullness = policy.whenFull == .pauseReading ? fullness(state) : .room
            defer { state.waiting = nil }
            return (state.waiting, state.fullness != .room, dropped)
        }
        // What the policy drops is done with.
        for message in dropped { message.receipt?.settle(isHandled: true) }
        waiting?.resume()
        return isFull
    }

    private func fullness(_ state: State) -> Fullness {
        let (count, bytes) = (state.messages.count, state.bytes)
        if count < policy.capacity, bytes < policy.maximumBytes { return .room }
        return count < max(policy.capacity, Self.overflow) && bytes / 2 < policy.maximumBytes ? .full : .overfull
    }

    /// More than a broker can have under way in front of an answer: 65,535 packet identifiers (MQTT 5.0, section 3.3.4).
    static let overflow = 65_536

    /// Makes the messages fit again. One is kept, however large.
    private func drop(_ state: inout State) -> ArraySlice<IncomingMessage> {
        var bytes = state.bytes
        var excess = 0
        let count = state.messages.count
        while count - excess > policy.capacity || bytes > policy.maximumBytes && count - excess > 1 {
            bytes -= state.messages[policy.whenFull == .dropOldest ? excess : count - 1 - excess].size
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

    /// Nothing follows; what is there can still be read.
    func finish() {
        let waiting = state.withLock { state in
            state.isFinished = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// The broker refuses a filter that it had granted. Returns whether that was the last one: then nothing follows.
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

    /// The broker grants a filter again.
    func grant(_ filter: String) { state.withLock { _ = $0.refused.remove(filter) } }

    /// The consumer is gone, and has handled its last message or not. Returns what was not handed out to it.
    func finish(hasHandledLast: Bool) -> [IncomingMessage] {
        finish()
        let (last, rest) = taken.withLock { taken in
            defer { taken = Taken() }
            return (taken.receipt, taken.messages[taken.next...])
        }
        last?.settle(isHandled: hasHandledLast)
        let unread = state.withLock { state in
            defer { (state.messages, state.bytes) = ([], 0) }
            return state.messages
        }
        return rest + unread
    }

    /// Takes back what waits for an acknowledgement and was not handed out.
    ///
    /// - Parameter includingExactlyOnce: Whether QoS 2 is taken back too. At a reconnect it stays: another consumer may have had it.
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
            state.bytes = state.messages.reduce(0) { $0 + $1.size }
            state.fullness = policy.whenFull == .pauseReading ? fullness(state) : .room
            return open
        }
        return handedOver + waiting
    }

    // MARK: The consumer

    /// The next message; waits for it. `nil` at the end, and when the task is cancelled. The message before it has been handled.
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

    /// All messages that are there; waits for one.
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
                    let ready = state.withLock { state in
                        if state.isFinished || !state.messages.isEmpty || Task.isCancelled { return true }
                        guard state.waiting == nil else {
                            // A second consumer at the same time: misuse, which ends its sequence.
                            return true
                        }
                        state.waiting = continuation
                        return false
                    }
                    if ready { continuation.resume() }
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
