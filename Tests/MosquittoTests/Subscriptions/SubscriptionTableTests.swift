// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The table of subscriptions` {
    private func consumer(_ subscriptions: MQTTSubscription...) -> MessageBuffer {
        MessageBuffer(subscriptions, policy: .default) {}
    }

    private func filters(_ groups: [SubscriptionTable.Group]) -> [[String]] { groups.map(\.filters) }

    @Test func `knows what the broker has not confirmed`() {
        var table = SubscriptionTable()
        table.add(consumer("a", "b"))
        #expect(filters(table.unconfirmed()) == [["a", "b"]])
        table.confirm("a")
        #expect(filters(table.unconfirmed()) == [["b"]])
        table.confirm("b")
        #expect(table.unconfirmed().isEmpty)
        #expect(table.filters == ["a", "b"])
    }

    @Test func `subscribes to all again when the broker has no session`() {
        var table = SubscriptionTable()
        table.add(consumer("a", "b"))
        table.confirm("a")
        table.forgetSession()
        #expect(filters(table.unconfirmed()) == [["a", "b"]])
    }

    @Test func `a group is cut into packets of so many filters (core 11)`() {
        var table = SubscriptionTable()
        for number in 0..<9 { table.add(consumer(MQTTSubscription("\(number)"))) }
        let group = table.unconfirmed()[0]
        #expect(group.parts(of: 8).map(\.filters.count) == [8, 1])
        #expect(group.parts(of: 9).map(\.filters.count) == [9])
        #expect(group.parts(of: 1).map(\.filters.count) == Array(repeating: 1, count: 9))
        #expect(group.parts(of: 4).flatMap(\.filters) == group.filters)
    }

    @Test func `asks for, and takes, only what is wanted of it`() {
        var table = SubscriptionTable()
        table.add(consumer("a", "b"))
        #expect(filters(table.unconfirmed { $0 == "b" }) == [["b"]])
        table.abandon(["x", "y", "z"])
        #expect(table.takeAbandoned(1) { $0 != "x" } == ["y"])
        #expect(table.takeAbandoned() == ["x", "z"])
        #expect(table.takeAbandoned().isEmpty)
    }

    @Test func `the broker is not told of the end of a filter that it has refused`() {
        var table = SubscriptionTable()
        let consumer = consumer("refused", "granted")
        table.add(consumer)
        table.confirm("granted")
        table.refuse("refused")
        table.remove(consumer)
        #expect(table.takeAbandoned() == ["granted"])
    }

    @Test func `one that was refused, and is asked for again, may be there (delivery 2)`() {
        var table = SubscriptionTable()
        let consumer = consumer("a", "b")
        table.add(consumer)
        for filter in ["a", "b"] {
            table.confirm(filter)
            table.revoke(filter)
        }
        table.noteAsked(["b"])
        #expect(table.isRevoked("a"))
        #expect(!table.isRevoked("b"))
        table.remove(consumer)
        #expect(table.takeAbandoned() == ["b"])
        #expect(!table.isRevoked("a"))
    }

    @Test func `a copy is redundant if all its filters have consumers that take another one (delivery 1)`() {
        var table = SubscriptionTable()
        func isRedundant(_ identifiers: [UInt32]) -> Bool { table.isRedundant("a/b", identifiers) }
        table.usesIdentifiers = true
        let both = consumer("a/#", "a/b")
        table.add(both)
        let identifiers = table.groups(of: both).compactMap(\.identifier)
        #expect(!isRedundant(identifiers), "the broker may not know the identifiers yet")
        for filter in ["a/#", "a/b"] { table.confirm(filter) }
        let redundant = identifiers.filter { table.consumers(of: "a/b", [$0]).isEmpty }
        #expect(redundant.count == 1)
        #expect(isRedundant(redundant))
        #expect(!isRedundant([]))
        #expect(!isRedundant(redundant + [1_000_000_000]), "a filter of an earlier process")
        table.remove(both, keepsFilters: true)
        #expect(!isRedundant(redundant), "for the next consumer of a filter that is kept")
    }

    @Test func `a confirmation of what nobody wants does nothing`() {
        var table = SubscriptionTable()
        table.confirm("a")
        #expect(table.unconfirmed().isEmpty)
        #expect(table.filters.isEmpty)
    }

    @Test func `groups filters that one SUBSCRIBE can carry`() {
        var table = SubscriptionTable()
        let consumer = consumer(
            MQTTSubscription("d", qos: .atMostOnce), "b", MQTTSubscription("c", noLocal: true), "a",
            MQTTSubscription("e", userProperties: [MQTTUserProperty("k", "v")]))
        table.add(consumer)
        #expect(filters(table.unconfirmed()) == [["d"], ["b", "a"], ["c"], ["e"]])
        #expect(filters(table.groups(of: consumer)) == [["d"], ["b", "a"], ["c"], ["e"]])
        #expect(table.unconfirmed().allSatisfy { $0.identifier == nil })
    }

    @Test func `abandons a filter with its last consumer`() {
        var table = SubscriptionTable()
        let (first, second) = (consumer("a", "b"), consumer("b"))
        table.add(first)
        table.add(second)
        table.remove(first)
        #expect(table.takeAbandoned() == ["a"])
        #expect(table.takeAbandoned() == [])
        table.remove(second)
        #expect(table.takeAbandoned() == ["b"])
        #expect(table.filters.isEmpty)
    }

    @Test func `keeps a filter without its consumer in a persistent session, if it was granted (D1)`() {
        var table = SubscriptionTable()
        let (first, second) = (consumer("a", "b"), consumer(MQTTSubscription("a", qos: .atMostOnce)))
        table.add(first)
        table.confirm("a")
        table.remove(first, keepsFilters: true)
        #expect(table.takeAbandoned() == [])
        #expect(table.kept == ["a"])
        #expect(table.wanted == [])
        table.forgetSession()
        #expect(filters(table.unconfirmed()) == [["a"]])
        table.add(second)
        #expect(table.kept == [])
        #expect(table.unconfirmed().first?.subscriptions.first?.qos == .atMostOnce, "nobody else wants more")
        table.confirm("a")
        table.remove(second, keepsFilters: true)
        table.abandon(["a"])
        #expect(table.takeAbandoned() == [])
        table.abandon(["a"], includingKept: true)
        #expect(table.takeAbandoned() == ["a"])
        #expect(table.filters.isEmpty)
    }

    @Test func `keeps nothing of a filter that the broker refuses (core 28)`() {
        var table = SubscriptionTable()
        let consumer = consumer("a")
        table.add(consumer)
        table.confirm("a")
        table.remove(consumer, keepsFilters: true)
        table.revoke("a")
        #expect(table.filters.isEmpty)
    }

    @Test func `a consumer that is removed twice counts once`() {
        var table = SubscriptionTable()
        let (first, second) = (consumer("a"), consumer("a"))
        table.add(first)
        table.add(second)
        table.remove(first)
        table.remove(first)
        #expect(table.takeAbandoned() == [])
        #expect(table.filters == ["a"])
    }

    @Test func `a filter named twice by one consumer goes with it`() {
        var table = SubscriptionTable()
        let double = consumer("a", "a")
        table.add(double)
        table.remove(double)
        #expect(table.takeAbandoned() == ["a"])
    }

    @Test func `a filter that is wanted again is not abandoned`() {
        var table = SubscriptionTable()
        let first = consumer("a")
        table.add(first)
        table.remove(first)
        table.add(consumer("a"))
        #expect(table.takeAbandoned() == [])
        #expect(filters(table.unconfirmed()) == [["a"]])
    }

    @Test func `what was abandoned is forgotten with the session`() {
        var table = SubscriptionTable()
        let first = consumer("a")
        table.add(first)
        table.remove(first)
        table.forgetSession()
        #expect(table.takeAbandoned() == [])
    }

    @Test func `a message goes once to each consumer that has a match`() {
        var table = SubscriptionTable()
        let (all, some, none) = (consumer("#", "a/+"), consumer("$share/g/a/#"), consumer("b"))
        for consumer in [all, some, none] { table.add(consumer) }
        #expect(table.consumers(of: "a/b", []).map(ObjectIdentifier.init) == [all, some].map(ObjectIdentifier.init))
        #expect(table.consumers(of: "$SYS/x", []).isEmpty)
    }

    @Test func `consumers that come and go are noticed for topics that were seen before`() {
        var table = SubscriptionTable()
        let (first, second) = (consumer("a"), consumer("+"))
        table.add(first)
        #expect(table.consumers(of: "a", []).count == 1)
        table.add(second)
        #expect(table.consumers(of: "a", []).count == 2)
        table.remove(first)
        #expect(table.consumers(of: "a", []).first === second)
    }

    @Test func `any number of topics can be looked up`() {
        var table = SubscriptionTable()
        table.add(consumer("t/#"))
        for number in 0..<25_000 where table.consumers(of: "t/\(number)", []).count != 1 { Issue.record("t/\(number)") }
    }
}
