import Synchronization

/// What a client's callers and its loop share: the state to look at, the listeners to events, and the outbox.
final class SharedState: Sendable {
    private struct Observed {
        var state: MQTTConnectionState = .idle
        var listeners: [Int: AsyncStream<MQTTConnectionEvent>.Continuation] = [:]
        var lastListener = 0
    }

    private struct Outbox {
        var messages: [OutgoingPublish] = []
        /// Enqueued messages that have not been handed to the library.
        var enqueued = 0
        var isScheduled = false
        /// Why nothing is taken any more.
        var closed: MQTTError?
    }

    private let observed = Mutex(Observed())
    private let outbox = Mutex(Outbox())
    private let queueLimit: Int

    init(queueLimit: Int) { self.queueLimit = queueLimit }

    // MARK: State and events

    var state: MQTTConnectionState { observed.withLock { $0.state } }

    func setState(_ state: MQTTConnectionState) { observed.withLock { $0.state = state } }

    func makeEventStream() -> AsyncStream<MQTTConnectionEvent> {
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
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.observed.withLock { $0.listeners[id] = nil }
        }
        return stream
    }

    func emit(_ event: MQTTConnectionEvent) {
        let listeners = observed.withLock { Array($0.listeners.values) }
        for listener in listeners { listener.yield(event) }
        guard case .stopped = event.kind else { return }
        for listener in listeners { listener.finish() }
    }

    // MARK: Outbox

    /// Adds a message. Returns whether the loop has to be told.
    func post(_ publish: OutgoingPublish) throws(MQTTError) -> Bool {
        let outcome: Result<Bool, MQTTError> = outbox.withLock { outbox in
            if let closed = outbox.closed { return .failure(closed) }
            if publish.admission == .withdrawn {
                return .failure(MQTTError(.cancelled, "the publish was cancelled"))
            }
            if publish.isEnqueued {
                if outbox.enqueued >= queueLimit {
                    return .failure(
                        MQTTError(.queueFull, "\(queueLimit) messages are queued already; see maximumQueuedMessages"))
                }
                outbox.enqueued += 1
            }
            publish.admission = .admitted
            outbox.messages.append(publish)
            defer { outbox.isScheduled = true }
            return .success(!outbox.isScheduled)
        }
        return try outcome.get()
    }

    /// The call for this message was cancelled. Returns whether the loop has it; else it will not be admitted.
    func withdraw(_ publish: OutgoingPublish) -> Bool {
        outbox.withLock { _ in
            if publish.admission == .admitted { return true }
            publish.admission = .withdrawn
            return false
        }
    }

    /// Takes all messages in one swap.
    func takeOutbox() -> [OutgoingPublish] {
        outbox.withLock { outbox in
            outbox.isScheduled = false
            var taken: [OutgoingPublish] = []
            swap(&taken, &outbox.messages)
            return taken
        }
    }

    /// So many enqueued messages have left the queue.
    func dequeued(_ count: Int) {
        if count > 0 { outbox.withLock { $0.enqueued -= count } }
    }

    /// From now on every message is refused with this error. Returns those that were waiting.
    func closeOutbox(_ error: MQTTError) -> [OutgoingPublish] {
        outbox.withLock { outbox in
            outbox.closed = error
            defer { outbox.messages = [] }
            return outbox.messages
        }
    }
}
