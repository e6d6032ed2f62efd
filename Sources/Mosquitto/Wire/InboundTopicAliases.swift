// SPDX-License-Identifier: Apache-2.0

/// The topics that the broker has assigned to aliases on a connection (MQTT 5.0, section 3.3.2.3.4). At most
/// ``maximum`` topics of 64 KiB are kept.
struct InboundTopicAliases {
    /// The client's Topic Alias Maximum; 0 if the broker must not use aliases.
    let maximum: UInt16
    /// The topics by alias, from 1 on; empty for an alias that has none.
    private var topics: [String] = []

    /// Number of topics that have been kept, at most ``maximum``.
    var count: Int { topics.count { !$0.isEmpty } }

    init(maximum: UInt16) { self.maximum = maximum }

    /// Returns the rule that an alias breaks, or `nil`.
    func objection(to alias: UInt16) -> String? {
        if maximum == 0 { return "a Topic Alias, which this client does not take" }
        if alias == 0 { return "the Topic Alias 0" }
        return alias > maximum ? "the Topic Alias \(alias), above the client's maximum of \(maximum)" : nil
    }

    /// Assigns a topic to a valid alias.
    mutating func assign(_ topic: String, to alias: UInt16) {
        let index = Int(alias) - 1
        if index >= topics.count { topics += Array(repeating: "", count: index + 1 - topics.count) }
        topics[index] = topic
    }

    /// Returns the topic of a valid alias; `nil` if the broker has assigned none.
    func topic(of alias: UInt16) -> String? {
        let index = Int(alias) - 1
        return index < topics.count && !topics[index].isEmpty ? topics[index] : nil
    }
}
