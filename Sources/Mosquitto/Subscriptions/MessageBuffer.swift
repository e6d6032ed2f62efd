import DequeModule
import Synchronization

/// The messages between the loop and the consumer of one subscription.
final class MessageBuffer: Sendable {
    private struct State {
        var messages: [MQTTMessage] = []
        var waiting: CheckedContinuation<Void, Never>?
        var isFinished = false
        var isPausing = false
        var dropped = 0
    }

    let subscriptions: [MQTTSubscription]
    private let policy: MQTTBufferPolicy
    /// Tells the loop that there is room again.
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())
    /// What the consumer has taken in one go and not read yet. A lock that only the consumer takes, and not part of an
    /// iterator: who breaks out of a loop finds the rest in the next one.
    private let taken = Mutex((messages: [MQTTMessage](), next: 0))

    init(_ subscriptions: [MQTTSubscription], policy: MQTTBufferPolicy, wake: @escaping @Sendable () -> Void) {
        self.subscriptions = subscriptions
        self.policy = policy
        self.wake = wake
    }

    var dropped: Int { state.withLock { $0.dropped } }

    var isIdle: Bool {
        taken.withLock { $0.next == $0.messages.count } && state.withLock { $0.messages.isEmpty }
    }

    /// Whether the loop must not read on for now.
    var isPausing: Bool { state.withLock { $0.isPausing } }

    /// Adds messages in one go. Returns whether the loop must stop reading.
    func append(_ messages: [MQTTMessage]) -> Bool {
        let (waiting, isPausing) = state.withLock { state in
            if state.isFinished { return (nil as CheckedContinuation<Void, Never>?, false) }
            state.messages += messages
            let excess = state.messages.count - policy.capacity
            if excess > 0 {
                switch policy.whenFull {
                case .pauseReading: break
                case .dropOldest:
                    state.messages.removeFirst(excess)
                    state.dropped += excess
                case .dropNewest:
                    state.messages.removeLast(excess)
                    state.dropped += excess
                }
            }
            state.isPausing = policy.whenFull == .pauseReading && excess >= 0
            defer { state.waiting = nil }
            return (state.waiting, state.isPausing)
        }
        waiting?.resume()
        return isPausing
    }

    func finish() {
        let waiting = state.withLock { state in
            state.isFinished = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// The next message; waits for it. `nil` at the end, and when the task is cancelled.
    func next(isolation: isolated (any Actor)?) async -> MQTTMessage? {
        while true {
            let message: MQTTMessage? = taken.withLock { taken in
                guard taken.next < taken.messages.count else { return nil }
                defer { taken.next += 1 }
                return taken.messages[taken.next]
            }
            if let message { return message }
            let batch = await nextBatch(isolation: isolation)
            if batch.isEmpty { return nil }
            taken.withLock { $0 = (batch, 0) }
        }
    }

    /// All messages that are there; waits for one.
    private func nextBatch(isolation: isolated (any Actor)?) async -> [MQTTMessage] {
        while true {
            if Task.isCancelled { return [] }
            let (batch, isFinished, wasPausing) = state.withLock { state in
                defer { state.isPausing = false }
                var batch: [MQTTMessage] = []
                swap(&batch, &state.messages)
                return (batch, state.isFinished, state.isPausing)
            }
            if wasPausing { wake() }
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
