import DequeModule

/// Messages that have not been handed to the library, in the order of their publication.
struct PublishQueue {
    private var messages = Deque<OutgoingPublish>()

    var isEmpty: Bool { messages.isEmpty }
    var count: Int { messages.count }
    var first: OutgoingPublish? { messages.first }

    mutating func append(_ new: [OutgoingPublish]) { messages.append(contentsOf: new) }

    /// Puts back what was handed over and not acknowledged.
    mutating func prepend(_ old: [OutgoingPublish]) { messages.prepend(contentsOf: old) }

    mutating func popFirst() -> OutgoingPublish? { messages.popFirst() }

    mutating func remove(_ message: OutgoingPublish) {
        if let index = messages.firstIndex(where: { $0 === message }) { messages.remove(at: index) }
    }

    mutating func takeAll() -> [OutgoingPublish] {
        // An array of an empty deque writes to the storage that all empty arrays share, on whatever thread.
        if messages.isEmpty { return [] }
        defer { messages.removeAll() }
        return Array(messages)
    }
}
