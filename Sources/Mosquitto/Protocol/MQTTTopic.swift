// SPDX-License-Identifier: Apache-2.0

/// A topic name, to which a message is published (MQTT 5.0, section 4.7).
///
/// A name has 1 to 65,535 bytes of UTF-8, without a wildcard (`+`, `#`) or NUL. A value can hold an invalid name, so
/// that a literal never traps: ``validate()`` throws for it, and every call that sends a topic validates it first.
public struct MQTTTopic: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringInterpolation {
    /// The name as sent on the wire.
    public let name: String

    public init(_ name: some StringProtocol) { self.name = String(name) }
    public init(stringLiteral value: String) { self.name = value }

    public var description: String { name }

    /// The parts between the slashes: "a//b" has three levels, one of them empty (section 4.7.1.1).
    public var levels: [Substring] { split(name) }

    /// Throws ``MQTTError/Code/invalidTopic`` if a message cannot be published to this name.
    public func validate() throws(MQTTError) {
        if isPlain { return }
        var length = 0
        for byte in name.utf8 {
            length += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "#") {
                throw .invalid(
                    .invalidTopic, "topic \(quoted(name)) has a wildcard; wildcards belong in topic filters only")
            }
        }
        if length == 0 { throw .invalid(.invalidTopic, "topic is empty; give it at least one character") }
        if length > 65_535 {
            throw .invalid(.invalidTopic, "topic \(quoted(name)) has \(length) bytes; at most 65535 are allowed")
        }
        if let reason = unsendable(name) { throw .invalid(.invalidTopic, "topic \(quoted(name)) has \(reason)") }
    }

    /// True if the name is printable ASCII without a wildcard: the fast path, taken by each publish.
    private var isPlain: Bool {
        let isPlain = name.utf8.withContiguousStorageIfAvailable { bytes in
            if bytes.isEmpty || bytes.count > 65_535 { return false }
            for byte in bytes
            where byte < 0x20 || byte > 0x7E || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "#") {
                return false
            }
            return true
        }
        return isPlain ?? false
    }
}

/// A type that can be the topic of a message: ``MQTTTopic``, `String` and `Substring`.
///
/// The call that sends a topic validates it, and throws ``MQTTError/Code/invalidTopic`` for a text that is no topic
/// name.
public protocol MQTTTopicConvertible: Sendable {
    /// The topic name.
    var mqttTopic: MQTTTopic { get }
}

extension MQTTTopic: MQTTTopicConvertible {
    public var mqttTopic: MQTTTopic { self }
}

extension String: MQTTTopicConvertible {
    public var mqttTopic: MQTTTopic { MQTTTopic(self) }
}

extension Substring: MQTTTopicConvertible {
    public var mqttTopic: MQTTTopic { MQTTTopic(self) }
}

/// A topic filter, to which a client subscribes (MQTT 5.0, section 4.7), with `+` and `#` as wildcards and
/// `$share/GROUP/FILTER` as a shared subscription (section 4.8.2).
public struct MQTTTopicFilter: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringInterpolation {
    /// The filter as sent on the wire.
    public let filter: String

    public init(_ filter: some StringProtocol) { self.filter = String(filter) }
    public init(stringLiteral value: String) { self.filter = value }

    public var description: String { filter }

    /// The parts between the slashes, including those of `$share/GROUP/`.
    public var levels: [Substring] { split(filter) }

    /// Throws ``MQTTError/Code/invalidTopicFilter`` if the filter breaks a rule of section 4.7.
    public func validate() throws(MQTTError) {
        func fail(_ reason: String) -> MQTTError {
            .invalid(.invalidTopicFilter, "topic filter \(quoted(filter)) \(reason)")
        }
        if filter.isEmpty {
            throw .invalid(.invalidTopicFilter, "topic filter is empty; give it at least one character")
        }
        if filter.utf8.count > 65_535 { throw fail("has more than 65535 bytes") }
        if let reason = unsendable(filter) { throw fail("has \(reason)") }
        // Compares bytes: a "#" followed by a combining accent is a single Character, which does not equal "#".
        let (plus, hash) = (UInt8(ascii: "+"), UInt8(ascii: "#"))
        var levels = filter.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if isShared {
            guard levels.count >= 3, !levels[1].isEmpty, levels.count > 3 || !levels[2].isEmpty else {
                throw fail("is not a shared subscription; the form is $share/GROUP/FILTER")
            }
            if levels[1].contains(plus) || levels[1].contains(hash) { throw fail("has a wildcard in its share name") }
            levels.removeFirst(2)
        }
        for (index, level) in levels.enumerated() {
            if level.contains(hash), level.count > 1 || index != levels.count - 1 {
                throw fail("has a # that is not its last level on its own")
            }
            if level.contains(plus), level.count > 1 { throw fail("has a + that is not a level on its own") }
        }
    }

    /// True if the first level is `$share`.
    var isShared: Bool { filter.utf8.starts(with: "$share/".utf8) || filter == "$share" }

    var hasWildcard: Bool { filter.utf8.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") } }

    /// True if a topic can match both filters, which must differ. `isExact`: `other` has no wildcard and is not shared.
    func overlaps(_ other: MQTTTopicFilter, isExact: Bool) -> Bool {
        if isExact, !isShared { return hasWildcard && matches(other.filter) }
        var mine = matched.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)[...]
        var others = other.matched.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)[...]
        func isWildcard(_ level: Substring.UTF8View?, _ character: Unicode.Scalar) -> Bool {
            level?.count == 1 && level?.first == UInt8(ascii: character)
        }
        while true {
            let (left, right) = (mine.popFirst(), others.popFirst())
            if isWildcard(left, "#") || isWildcard(right, "#") { return true }
            guard let left, let right else { return left == nil && right == nil }
            if !isWildcard(left, "+"), !isWildcard(right, "+"), !left.elementsEqual(right) { return false }
        }
    }

    /// The filter that topics are matched against: without a leading `$share/GROUP/`.
    var matched: Substring {
        let slash = UInt8(ascii: "/")
        guard isShared, let first = filter.utf8.firstIndex(of: slash) else { return filter[...] }
        let group = filter.utf8.index(after: first)
        guard let second = filter.utf8[group...].firstIndex(of: slash) else { return filter[group...] }
        return filter[filter.utf8.index(after: second)...]
    }

    /// Returns true if the filter matches `topic`. A leading wildcard does not match a topic that begins with `$`
    /// (section 4.7.2).
    public func matches(_ topic: String) -> Bool {
        let matched = matched.utf8
        let result = matched.withContiguousStorageIfAvailable { filter in
            topic.utf8.withContiguousStorageIfAvailable { TopicMatcher.matches(filter: filter, topic: $0) }
        }
        return (result ?? nil) ?? TopicMatcher.matches(filter: Array(matched), topic: Array(topic.utf8))
    }
}

/// Splits by bytes: a "/" followed by a combining accent is a single Character, which does not equal "/".
private func split(_ text: String) -> [Substring] {
    text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Substring($0) }
}

/// The matching rules of section 4.7, over UTF-8 bytes.
private enum TopicMatcher {
    static func matches<Bytes: RandomAccessCollection>(filter: Bytes, topic: Bytes) -> Bool
    where Bytes.Element == UInt8, Bytes.Index == Int {
        let slash = UInt8(ascii: "/")
        let plus = UInt8(ascii: "+")
        let hash = UInt8(ascii: "#")
        if topic.first == UInt8(ascii: "$"), filter.first == plus || filter.first == hash { return false }
        var f = filter.startIndex
        var t = topic.startIndex
        while f < filter.endIndex {
            switch filter[f] {
            case hash:
                return true
            case plus:
                while t < topic.endIndex, topic[t] != slash { t += 1 }
                f += 1
            default:
                guard t < topic.endIndex, topic[t] == filter[f] else {
                    // "sport/#" matches "sport" too (section 4.7.1.2).
                    return t == topic.endIndex && filter[f...].elementsEqual("/#".utf8)
                }
                f += 1
                t += 1
            }
        }
        return t == topic.endIndex
    }
}

/// Returns a description of the first character in `text` for which brokers reject a string: a control character or a
/// Unicode non-character, for which a receiver may treat the packet as malformed (MQTT 5.0, section 1.5.4). `nil` if
/// there is none.
func unsendable(_ text: String) -> String? {
    if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return nil }
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0: return "a NUL character"
        case 1..<0x20, 0x7F...0x9F: return "a control character"
        case 0xFDD0...0xFDEF: return "a Unicode non-character"
        case let value where value & 0xFFFE == 0xFFFE: return "a Unicode non-character"
        default: break
        }
    }
    return nil
}
