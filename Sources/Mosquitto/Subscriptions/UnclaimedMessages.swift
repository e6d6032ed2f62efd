/// Messages of a resumed session that come before the program has subscribed again: the broker sends them right after its
/// CONNACK, and they are acknowledged. They are held for the consumer whose filter matches, the newest 4,096.
struct UnclaimedMessages {
    private static let capacity = 4_096
    private var messages: [MQTTMessage] = []

    /// Returns how many older ones had to go.
    mutating func hold(_ new: [MQTTMessage]) -> Int {
        messages += new
        let excess = max(0, messages.count - Self.capacity)
        messages.removeFirst(excess)
        return excess
    }

    /// Takes those that match a subscription of the consumer.
    mutating func claim(for consumer: MessageBuffer) -> [MQTTMessage] {
        guard !messages.isEmpty else { return [] }
        var claimed: [MQTTMessage] = []
        messages.removeAll { message in
            guard consumer.subscriptions.contains(where: { $0.filter.matches(message.topic) }) else { return false }
            claimed.append(message)
            return true
        }
        return claimed
    }
}
