/// Short numbers for the topics of one connection (MQTT 5.0, section 3.3.2.3.4), as many as the broker allows, for
/// those that come first.
struct TopicAliases {
    /// A topic that is no longer than this costs more with an alias, in work and in bytes.
    private static let shortest = 16

    private let maximum: Int
    private var numbers: [String: UInt16] = [:]

    init(maximum: UInt16 = 0) { self.maximum = Int(maximum) }

    /// The number of a topic, and whether the broker knows it already. `nil` if it has none.
    func alias(of topic: String) -> (number: UInt16, isKnown: Bool)? {
        if maximum == 0 || topic.utf8.count <= Self.shortest { return nil }
        if let number = numbers[topic] { return (number, true) }
        return numbers.count < maximum ? (UInt16(numbers.count + 1), false) : nil
    }

    /// A packet has told the broker.
    mutating func told(_ topic: String, _ number: UInt16) { numbers[topic] = number }
}
