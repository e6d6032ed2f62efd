/// Messages of a resumed session that come before the program has subscribed again: the broker sends them right after its
/// CONNACK, and they are acknowledged. They are held for the consumer whose filter matches, the newest 4,096.
struct UnclaimedMessages {
    private static let capacity = 4_096
    private var messages: [IncomingMessage] = []

    /// Returns how many older ones had to go.
    mutating func hold(_ new: [IncomingMessage]) -> Int {
        messages += new
        let excess = max(0, messages.count - Self.capacity)
        for message in messages.prefix(excess) { message.receipt?.settle(isHandled: false) }
        messages.removeFirst(excess)
        return excess
    }

    /// Takes those that match a subscription of the consumer.
    mutating func claim(for consumer: MessageBuffer) -> [IncomingMessage] {
        guard !messages.isEmpty else { return [] }
        var claimed: [IncomingMessage] = []
        messages.removeAll { message in
            guard consumer.subscriptions.contains(where: { $0.filter.matches(message.message.topic) }) else {
                return false
            }
            claimed.append(message)
            return true
        }
        return claimed
    }
}
