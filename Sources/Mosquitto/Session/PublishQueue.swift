import DequeModule

/// Outgoing messages in their order. A cancelled one stays as an empty place until there are more of those than messages: so
/// cancelling is cheap however long the queue is.
struct PublishQueue {
    private var messages = Deque<OutgoingPublish>()
    private var cancelled = 0

    var isEmpty: Bool { messages.count == cancelled }
    var count: Int { messages.count - cancelled }

    /// The next message, without the empty places before it.
    var first: OutgoingPublish? {
        mutating get {
            while let first = messages.first, first.isCancelled { dropFirst() }
            return messages.first
        }
    }

    private mutating func dropFirst() {
        messages.removeFirst()
        cancelled -= 1
    }

    mutating func append(_ message: OutgoingPublish) { messages.append(message) }

    /// Puts back what was handed over and not acknowledged.
    mutating func prepend(_ old: [OutgoingPublish]) { messages.prepend(contentsOf: old) }

    mutating func popFirst() -> OutgoingPublish? { first == nil ? nil : messages.removeFirst() }

    func contains(_ message: OutgoingPublish) -> Bool { messages.contains { $0 === message } }

    /// Marks a message that is in the queue.
    mutating func cancel(_ message: OutgoingPublish) {
        message.isCancelled = true
        cancelled += 1
        if cancelled > 32, cancelled > messages.count / 2 {
            messages.removeAll { $0.isCancelled }
            cancelled = 0
        }
    }

    /// Takes out the messages for which this is true.
    mutating func remove(where isUnwanted: (OutgoingPublish) -> Bool) -> [OutgoingPublish] {
        var removed: [OutgoingPublish] = []
        messages.removeAll { message in
            if message.isCancelled { return true }
            guard isUnwanted(message) else { return false }
            removed.append(message)
            return true
        }
        cancelled = 0
        return removed
    }

    /// Takes out the first messages for which `isUnwanted` is true, as many as it takes until `isEnough`: none if they all are not.
    mutating func removeFirst(
        where isUnwanted: (OutgoingPublish) -> Bool, until isEnough: (_ count: Int, _ bytes: Int) -> Bool
    ) -> [OutgoingPublish] {
        var unwanted: [OutgoingPublish] = []
        var bytes = 0
        for message in messages where !message.isCancelled && isUnwanted(message) {
            if isEnough(unwanted.count, bytes) { break }
            unwanted.append(message)
            bytes += message.size
        }
        guard isEnough(unwanted.count, bytes) else { return [] }
        var index = 0
        messages.removeAll { message in
            guard index < unwanted.count, message === unwanted[index] else { return false }
            index += 1
            return true
        }
        return unwanted
    }

    mutating func takeAll() -> [OutgoingPublish] { messages.isEmpty ? [] : remove { _ in true } }
}
