// SPDX-License-Identifier: Apache-2.0

/// Topic filters as the broker matches them (MQTT 5.0, 4.7).
enum TopicMatching {
    /// Returns true if a topic filter is valid: `#` only as the last level, `+` only as a whole level.
    static func isValid(filter: String) -> Bool {
        guard !filter.isEmpty, !filter.contains("\0") else { return false }
        let levels = filter.split(separator: "/", omittingEmptySubsequences: false)
        return levels.enumerated().allSatisfy { index, level in
            switch level {
            case "#": index == levels.count - 1
            case "+": true
            default: !level.contains("#") && !level.contains("+")
            }
        }
    }

    static func levels(of text: String) -> [Substring] {
        text.split(separator: "/", omittingEmptySubsequences: false)
    }

    static func matches(filter: [Substring], topic: [Substring]) -> Bool {
        // MQTT 5.0, 4.7.2: a filter that begins with a wildcard does not match $SYS/...
        if let first = topic.first, first.hasPrefix("$"), filter.first == "#" || filter.first == "+" { return false }
        for (index, level) in filter.enumerated() {
            // "sport/#" matches "sport" as well.
            if level == "#" { return true }
            guard index < topic.count, level == "+" || level == topic[index] else { return false }
        }
        return filter.count == topic.count
    }
}
