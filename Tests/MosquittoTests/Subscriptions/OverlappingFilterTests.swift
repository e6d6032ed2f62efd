// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Filters that overlap` {
    private func consumer(_ subscriptions: MQTTSubscription...) -> MessageBuffer {
        MessageBuffer(subscriptions, policy: .default) {}
    }

    private func table(_ consumers: MessageBuffer...) -> SubscriptionTable {
        var table = SubscriptionTable()
        table.usesIdentifiers = true
        for consumer in consumers { table.add(consumer) }
        return table
    }

    /// The identifiers by filter, all confirmed.
    private func confirm(_ table: inout SubscriptionTable) -> [String: UInt32] {
        var identifiers: [String: UInt32] = [:]
        for group in table.unconfirmed() {
            for filter in group.filters {
                identifiers[filter] = group.identifier
                table.confirm(filter)
            }
        }
        return identifiers
    }

    private func names(_ consumers: [MessageBuffer]) -> [ObjectIdentifier] { consumers.map(ObjectIdentifier.init) }

    @Test(arguments: [
        ("a/#", "a/b"), ("a/+", "+/b"), ("#", "x"), ("a/#", "a"), ("a/b/+", "a/#"), ("+/+", "a/#"), ("$share/g/a", "a"),
        ("$share/g/a/+", "a/b"), ("$share/g/#", "$share/h/#"), ("a", "+"),
    ])
    func `are recognised, from both sides`(first: MQTTTopicFilter, second: MQTTTopicFilter) {
        for (left, right) in [(first, second), (second, first)] {
            let table = table(consumer(MQTTSubscription(left)), consumer(MQTTSubscription(right)))
            let identifiers = table.unconfirmed().compactMap(\.identifier)
            #expect(Set(identifiers).count == 2, "\(left) \(right)")
        }
    }

    @Test(arguments: [("a", "b"), ("a/+", "a"), ("a/+", "a/b/c"), ("a/#", "b/#"), ("+/x", "+/y"), ("a/b", "a/b/+")])
    func `others are not`(first: MQTTTopicFilter, second: MQTTTopicFilter) {
        for (left, right) in [(first, second), (second, first)] {
            let table = table(consumer(MQTTSubscription(left)), consumer(MQTTSubscription(right)))
            #expect(table.unconfirmed().allSatisfy { $0.identifier == nil }, "\(left) \(right)")
        }
    }

    @Test func `have no identifiers with a broker that takes none`() {
        var table = table(consumer("a/#"), consumer("a/b"))
        table.usesIdentifiers = false
        #expect(table.unconfirmed().map(\.filters) == [["a/#", "a/b"]])
    }

    @Test func `bring each consumer its copy`() {
        let (all, one) = (consumer("a/#"), consumer("a/b"))
        var table = table(all, one)
        let identifiers = confirm(&table)
        let (first, second) = (identifiers["a/#", default: 0], identifiers["a/b", default: 0])
        #expect(names(table.consumers(of: "a/b", [first])) == names([all]))
        #expect(names(table.consumers(of: "a/b", [second])) == names([one]))
        // A broker that sends one copy sends both identifiers.
        #expect(names(table.consumers(of: "a/b", [first, second])) == names([all, one]))
        #expect(names(table.consumers(of: "a/c", [first])) == names([all]))
    }

    @Test func `of one consumer bring it one copy, that of the highest QoS`() {
        let consumer = consumer(MQTTSubscription("a/#", qos: .atMostOnce), MQTTSubscription("a/b", qos: .exactlyOnce))
        var table = table(consumer)
        let identifiers = confirm(&table)
        #expect(table.consumers(of: "a/b", [identifiers["a/#", default: 0]]).isEmpty)
        #expect(table.consumers(of: "a/b", [identifiers["a/b", default: 0]]).count == 1)
    }

    @Test(arguments: [["$share/w/jobs/#", "jobs/urgent"], ["$share/g1/jobs/urgent", "$share/g2/jobs/urgent"]])
    func `and shared ones bring a message of their own each (core 6)`(filters: [String]) {
        let consumer = MessageBuffer(filters.map { MQTTSubscription($0) }, policy: .default) {}
        var table = table(consumer)
        let identifiers = confirm(&table)
        for filter in filters {
            #expect(table.consumers(of: "jobs/urgent", [identifiers[filter, default: 0]]).count == 1, "\(filter)")
        }
    }

    @Test func `with noLocal do not stand for one without (core 6)`() {
        let consumer = consumer(MQTTSubscription("a/#", noLocal: true), MQTTSubscription("a/b"))
        var table = table(consumer)
        let identifiers = confirm(&table)
        #expect(table.consumers(of: "a/b", [identifiers["a/b", default: 0]]).count == 1)
        #expect(table.consumers(of: "a/b", [identifiers["a/#", default: 0]]).isEmpty)
        #expect(table.consumers(of: "a/c", [identifiers["a/#", default: 0]]).count == 1)
    }

    @Test func `with noLocal and a higher QoS are taken beside one without (core 6)`() {
        let consumer = consumer(
            MQTTSubscription("a/#", qos: .exactlyOnce, noLocal: true), MQTTSubscription("a/b", qos: .atMostOnce))
        var table = table(consumer)
        let identifiers = confirm(&table)
        for identifier in identifiers.values { #expect(table.consumers(of: "a/b", [identifier]).count == 1) }
    }

    @Test func `that all have noLocal bring one copy (core 6)`() {
        let consumer = consumer(MQTTSubscription("a/#", noLocal: true), MQTTSubscription("a/b", noLocal: true))
        var table = table(consumer)
        let identifiers = confirm(&table)
        #expect(identifiers.values.map { table.consumers(of: "a/b", [$0]).count }.reduce(0, +) == 1)
    }

    @Test(arguments: [MQTTSubscription.RetainHandling.doNotSend, .sendIfNew])
    func `with another retain handling bring retained messages each, and others once (core 6)`(
        handling: MQTTSubscription.RetainHandling
    ) {
        let consumer = consumer(MQTTSubscription("cfg/#", retainHandling: handling), MQTTSubscription("cfg/mine"))
        var table = table(consumer)
        let identifiers = confirm(&table)
        for identifier in identifiers.values {
            #expect(table.consumers(of: "cfg/mine", [identifier], isRetained: true).count == 1)
        }
        #expect(identifiers.values.map { table.consumers(of: "cfg/mine", [$0]).count }.reduce(0, +) == 1)
    }

    @Test func `with another treatment of the retain flag are different messages (core 6)`() {
        let consumer = consumer(MQTTSubscription("a/#", retainAsPublished: true), MQTTSubscription("a/b"))
        var table = table(consumer)
        let identifiers = confirm(&table)
        for identifier in identifiers.values { #expect(table.consumers(of: "a/b", [identifier]).count == 1) }
    }

    @Test func `leave the copy for a filter without a consumer to its next one (D1)`() {
        let (gone, here) = (consumer("a/#"), consumer("a/b"))
        var table = table(gone, here)
        let identifiers = confirm(&table)
        table.remove(gone, keepsFilters: true)
        #expect(table.consumers(of: "a/b", [identifiers["a/#", default: 0]]).isEmpty)
        #expect(table.consumers(of: "a/b", [identifiers["a/b", default: 0]]).count == 1)
    }

    @Test func `without an identifier that is known, all get the message`() {
        var table = table(consumer("a/#"), consumer("a/b"))
        _ = confirm(&table)
        #expect(table.consumers(of: "a/b", []).count == 2)
        #expect(table.consumers(of: "a/b", [268_435_455]).count == 2)
    }

    @Test func `a filter that was alone is subscribed to again, without retained messages`() {
        var table = table(consumer("a/#"))
        #expect(confirm(&table) == [:])
        #expect(table.unidentified().isEmpty)
        let second = consumer("a/b")
        table.add(second)
        #expect(table.groups(of: second).first?.subscriptions.first?.retainHandling == .sendOnSubscribe)
        let repeated = table.unidentified()
        #expect(repeated.map(\.filters) == [["a/#"]])
        #expect(repeated.first?.subscriptions.first?.retainHandling == .doNotSend)
        // Until the broker has confirmed, copies cannot be told apart.
        #expect(table.consumers(of: "a/b", []).count == 2)
        table.confirm("a/#")
        #expect(table.unidentified().isEmpty)
        // A new session gets all of it.
        table.forgetSession()
        #expect(table.unconfirmed().flatMap(\.subscriptions).allSatisfy { $0.retainHandling == .sendOnSubscribe })
    }

    @Test func `thousands of filters without wildcards are added quickly`() {
        let consumer = MessageBuffer((0..<10_000).map { MQTTSubscription("t/\($0)") }, policy: .default) {}
        let table = table(consumer)
        #expect(table.unconfirmed().count == 1)
    }
}
