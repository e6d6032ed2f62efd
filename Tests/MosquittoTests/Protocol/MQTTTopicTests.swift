// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A topic` {
    @Test(arguments: [
        "a", "/", "//", "a/b", "/a", "a/", " ", "a b", "$SYS/broker", "sensors/küche/温度", "😀",
    ])
    func `of one character or more is valid`(name: String) throws { try MQTTTopic(name).validate() }

    @Test(arguments: [
        ("", "is empty"), ("a/+", "wildcard"), ("#", "wildcard"), ("a+b", "wildcard"), ("#\u{301}", "wildcard"),
        ("a\0", "NUL"), ("a\u{1}", "control character"), ("a\n", "control character"), ("a\u{7F}", "control character"),
        ("a\u{9F}", "control character"), ("a\u{FFFE}", "non-character"),
        ("a\(Unicode.Scalar(0xFDD0)!)", "non-character"),
        ("a\u{10FFFF}", "non-character"),
    ])
    func `that cannot be published to is refused`(name: String, reason: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTTopic(name).validate() }
        #expect(error?.code == .invalidTopic)
        #expect(error?.message.contains(reason) == true)
        #expect(name.isEmpty || error?.message.contains(quoted(name)) == true)
    }

    @Test func `has 65,535 bytes at most`() throws {
        let longest = String(repeating: "x", count: 65_535)
        try MQTTTopic(longest).validate()
        try MQTTTopicFilter(longest).validate()
        #expect(throws: MQTTError.self) { try MQTTTopic(longest + "x").validate() }
        #expect(throws: MQTTError.self) { try MQTTTopicFilter(longest + "x").validate() }
    }

    @Test func `is written as a literal, an interpolation or a substring`() {
        let room = "kitchen"
        #expect(("a/\(room)" as MQTTTopic).name == "a/kitchen")
        #expect(MQTTTopic("xa/b".dropFirst()) == "a/b")
        #expect("\(MQTTTopic("a/b"))" == "a/b")
    }
}

@Suite(.turn(.units)) struct `A topic filter` {
    @Test(arguments: [
        "a", "#", "+", "/", "a/#", "a/+", "+/+", "+/a/#", "/+", "//", "$SYS/#", "$share/g/a", "$share/g/#",
        "$share/g/a/+",
        "$share/g//", "$share/g/$SYS/#", "$shared/a", "$sharex", "a/$share/b", "温度/+",
    ])
    func `that follows the rules is valid`(filter: String) throws { try MQTTTopicFilter(filter).validate() }

    @Test(arguments: [
        ("", "is empty"), ("a#", "#"), ("#/a", "#"), ("a/#/b", "#"), ("##", "#"), ("a/b#", "#"), ("a+", "+"),
        ("+a", "+"),
        ("a/++/b", "+"), ("a/+b", "+"), ("a\0", "NUL"), ("a\u{1F}", "control character"), ("\u{FFFF}", "non-character"),
        ("#\u{301}", "#"), ("a/+\u{301}", "+"), ("a/\u{301}#", "#"), ("$share", "$share/GROUP/FILTER"),
        ("$share/g", "$share/GROUP/FILTER"), ("$share/", "$share/GROUP/FILTER"), ("$share//a", "$share/GROUP/FILTER"),
        ("$share/g/", "$share/GROUP/FILTER"), ("$share/+/a", "share name"), ("$share/#", "$share/GROUP/FILTER"),
        ("$share/g#/a", "share name"), ("$share/g/a#", "#"),
    ])
    func `that breaks a rule is refused with the rule`(filter: String, reason: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTTopicFilter(filter).validate() }
        #expect(error?.code == .invalidTopicFilter)
        #expect(error?.message.contains(reason) == true)
    }

    @Test(arguments: [
        ("a", "a"), ("$share/g/a/b", "a/b"), ("$share/g/#", "#"), ("$share/g//a", "/a"),
        ("$share/g/$share/h/a", "$share/h/a"),
        ("$shared/g/a", "$shared/g/a"), ("$SYS/#", "$SYS/#"),
    ])
    func `is matched without its share`(filter: String, matched: String) {
        #expect(MQTTTopicFilter(filter).matched == matched)
    }

    @Test func `an invalid one is matched without a trap`() {
        for filter in ["", "$share", "$share/", "$share/g", "$share/\u{301}g/a", "a#b", "\u{301}"] {
            _ = MQTTTopicFilter(filter).matched
            _ = MQTTTopicFilter(filter).matches("a")
        }
    }

    @Test(arguments: [
        ("a", "a"), ("a/b", "a/b"), ("+", "a"), ("+/b", "a/b"), ("a/+", "a/b"), ("a/+", "a/"), ("+/+", "/a"),
        ("/+", "/a"),
        ("#", "a"), ("#", "a/b/c"), ("#", "/"), ("a/#", "a"), ("a/#", "a/"), ("a/#", "a/b"), ("a/#", "a/b/c"),
        ("+/#", "a"),
        ("a/+/c", "a/b/c"), ("a/+/#", "a/b"), ("a/+/#", "a/b/c/d"), ("a//b", "a//b"), ("a/+/b", "a//b"),
        ("$SYS/#", "$SYS/x"), ("$SYS/+", "$SYS/x"), ("$SYS/#", "$SYS"), ("$share/g/a/#", "a/b"), ("$share/g/+", "a"),
        ("a/$x", "a/$x"), ("+/$x", "a/$x"), ("温/+", "温/度"),
    ])
    func `matches`(filter: String, topic: String) { #expect(MQTTTopicFilter(filter).matches(topic)) }

    @Test(arguments: [
        ("a", "b"), ("a", "a/b"), ("a", "aa"), ("aa", "a"), ("a/b", "a"), ("+", "a/b"), ("+", "/a"), ("a/+", "a"),
        ("a/+", "a/b/c"), ("a/#", "ab"), ("a/#", "b"), ("+/+", "a"), ("a/+/c", "a/b/d"), ("a/+/#", "a"), ("/a", "a"),
        ("a", "/a"), ("a/", "a"), ("a", "a/"), ("A", "a"), ("#", "$SYS/x"), ("+/x", "$SYS/x"), ("+", "$SYS"),
        ("$share/g/#", "$SYS/x"), ("$share/g/a", "$share/g/a"), ("e\u{301}", "\u{E9}"),
    ])
    func `does not match`(filter: String, topic: String) { #expect(!MQTTTopicFilter(filter).matches(topic)) }

    @Test func `matches as a matcher that follows the text of the specification does`() {
        func reference(_ filter: ArraySlice<String>, _ topic: ArraySlice<String>) -> Bool {
            guard let level = filter.first else { return topic.isEmpty }
            if level == "#" { return true }
            guard let name = topic.first else { return false }
            return (level == "+" || level == name) && reference(filter.dropFirst(), topic.dropFirst())
        }
        var generator = JitterGenerator(seed: 5)
        var matches = 0
        for _ in 0..<20_000 {
            func levels(_ names: [String]) -> [String] {
                (0..<Int.random(in: 1...4, using: &generator)).map { _ in names.randomElement(using: &generator)! }
            }
            var filter = levels(["a", "b", "", "+", "$a"])
            if Bool.random(using: &generator) { filter[filter.count - 1] = "#" }
            let topic = levels(["a", "b", "", "$a"])
            let hidden = topic[0].hasPrefix("$") && ["+", "#"].contains(filter[0])
            let expected = !hidden && reference(filter[...], topic[...])
            matches += expected ? 1 : 0
            let (f, t) = (filter.joined(separator: "/"), topic.joined(separator: "/"))
            if t.isEmpty || f.isEmpty { continue }
            #expect(MQTTTopicFilter(f).matches(t) == expected, "\(f) and \(t)")
        }
        #expect(matches > 1_000)
    }
}

@Suite(.turn(.units)) struct `A subscription` {
    @Test(
        arguments: [
            (MQTTSubscription("a"), UInt8(0)), (MQTTSubscription("a", noLocal: true), 0x04),
            (MQTTSubscription("a", retainAsPublished: true), 0x08),
            (MQTTSubscription("a", retainHandling: .sendIfNew), 0x10),
            (MQTTSubscription("a", noLocal: true, retainAsPublished: true, retainHandling: .doNotSend), 0x2C),
        ] as [(MQTTSubscription, UInt8)])
    func `has the options byte of SUBSCRIBE`(subscription: MQTTSubscription, options: UInt8) {
        #expect(subscription.options == options)
        #expect(subscription.needsVersion5 == (options != 0))
    }

    @Test func `that is shared must not leave out the client's own messages`() throws {
        try MQTTSubscription("$share/g/a").validate()
        try MQTTSubscription("a", noLocal: true).validate()
        let error = #expect(throws: MQTTError.self) { try MQTTSubscription("$share/g/a", noLocal: true).validate() }
        #expect(error?.code == .invalidTopicFilter)
    }

    @Test func `is written as a literal at QoS 1`() {
        let subscription: MQTTSubscription = "a/+"
        #expect(subscription == MQTTSubscription("a/+", qos: .atLeastOnce))
    }
}
