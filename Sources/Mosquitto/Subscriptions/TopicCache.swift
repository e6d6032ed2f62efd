// SPDX-License-Identifier: Apache-2.0

/// A cache of values by topic. Publishers choose topics: their number and their bytes are bounded, and a long topic is
/// looked up each time.
struct TopicCache<Value> {
    private static var maximumTopics: Int { 10_000 }
    private static var maximumBytes: Int { 1 << 20 }
    static var longestTopic: Int { 1_024 }

    private var values: [String: Value] = [:]
    /// Number of bytes of the topics.
    private(set) var bytes = 0

    var count: Int { values.count }

    subscript(topic: String) -> Value? { values[topic] }

    /// Keeps a value for a topic that has none yet.
    mutating func keep(_ value: Value, for topic: String) {
        let count = topic.utf8.count
        if count > Self.longestTopic { return }
        if values.count >= Self.maximumTopics || bytes + count > Self.maximumBytes { removeAll() }
        values[topic] = value
        bytes += count
    }

    /// Removes all values, and releases their memory.
    mutating func removeAll() {
        values = [:]
        bytes = 0
    }
}
