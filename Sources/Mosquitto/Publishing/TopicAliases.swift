// SPDX-License-Identifier: Apache-2.0

/// The topic aliases of a connection (MQTT 5.0, section 3.3.2.3.4): as many as the broker allows, assigned to the first
/// topics.
struct TopicAliases {
    /// The longest topic without an alias: for a short topic an alias costs more, in work and in bytes.
    private static let shortest = 16

    private let maximum: Int
    /// The alias of the only topic, if the configuration has one.
    private let fixed: UInt16?
    private var numbers: [String: UInt16] = [:]

    init(maximum: UInt16 = 0, fixed: UInt16? = nil) {
        self.maximum = Int(maximum)
        self.fixed = fixed
    }

    /// Returns true if the broker allows the configured alias.
    var areAllowed: Bool { fixed.map { $0 <= maximum } ?? true }

    /// Returns the alias of a topic, and true if the broker knows it already; `nil` if the topic has none.
    func alias(of topic: String) -> (number: UInt16, isKnown: Bool)? {
        if let fixed { return (fixed, numbers[topic] != nil) }
        if maximum == 0 || topic.utf8.count <= Self.shortest { return nil }
        if let number = numbers[topic] { return (number, true) }
        return numbers.count < maximum ? (UInt16(numbers.count + 1), false) : nil
    }

    /// Records that a packet has sent the alias to the broker.
    mutating func told(_ topic: String, _ number: UInt16) { numbers[topic] = number }
}
