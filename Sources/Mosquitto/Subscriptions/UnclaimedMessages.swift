/// Messages of a resumed session that come before the program has subscribed again: the broker sends them right after its
/// CONNACK, and they are acknowledged. They are held for the consumer whose filter matches, the newest 4,096, and of those no more
/// than 64 MiB beside the newest.
///
/// One that is acknowledged only when it has been handled holds back the acknowledgements of all that came after it, so it does not
/// wait for ever: see ``giveBack(heldBefore:)``.
struct UnclaimedMessages {
    private static let capacity = 4_096
    private static let maximumBytes = 64 << 20
    private var bytes = 0
    private var messages: [(incoming: IncomingMessage, since: ContinuousClock.Instant)] = []

    /// Whether an acknowledgement waits for one.
    var holdsReceipts: Bool { messages.contains { $0.incoming.receipt != nil } }

    /// Returns how many older ones had to go.
    mutating func hold(_ new: [IncomingMessage], now: ContinuousClock.Instant = .now) -> Int {
        for message in new {
            messages.append((message, now))
            bytes += message.size
        }
        var excess = max(0, messages.count - Self.capacity)
        for message in messages.prefix(excess) { bytes -= message.incoming.size }
        while bytes > Self.maximumBytes, excess < messages.count - 1 {
            bytes -= messages[excess].incoming.size
            excess += 1
        }
        for message in messages.prefix(excess) { message.incoming.receipt?.settle(isHandled: false) }
        messages.removeFirst(excess)
        return excess
    }

    /// Takes those that match a subscription of the consumer.
    mutating func claim(for consumer: MessageBuffer) -> [IncomingMessage] {
        guard !messages.isEmpty else { return [] }
        var claimed: [IncomingMessage] = []
        messages.removeAll { message in
            let topic = message.incoming.message.topic
            guard consumer.subscriptions.contains(where: { $0.filter.matches(topic) }) else { return false }
            claimed.append(message.incoming)
            bytes -= message.incoming.size
            return true
        }
        return claimed
    }

    /// Leaves those to the broker that are not acknowledged and were held before this moment: they come again with the next
    /// connection. Returns how many.
    mutating func giveBack(heldBefore limit: ContinuousClock.Instant) -> Int {
        let count = messages.count
        messages.removeAll { message in
            guard message.since <= limit, let receipt = message.incoming.receipt else { return false }
            receipt.settle(isHandled: false)
            bytes -= message.incoming.size
            return true
        }
        return count - messages.count
    }
}
