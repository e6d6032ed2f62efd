// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The plan of a consumer group` {
    private func plan(
        group: String = "ingest", filters: [MQTTSubscription] = ["a/#"], clientID: String? = nil,
        _ options: MQTTConsumerGroupOptions = .init(), version: MQTTVersion = .v5_0
    ) -> GroupPlan {
        var configuration = MQTTClientConfiguration(host: "localhost")
        configuration.clientID = clientID
        configuration.version = version
        return GroupPlan(configuration: configuration, group: group, filters: filters, options: options)
    }

    private func code(_ plan: GroupPlan, members: Int = 2) -> MQTTError.Code? {
        do throws(MQTTError) {
            try plan.validate(members)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `members have names that are the same in each run`() {
        #expect((0..<2).map { plan().member($0).clientID } == ["ingest-0", "ingest-1"])
        #expect(plan(clientID: "kitchen").member(0).clientID == "kitchen-0")
        let options = MQTTConsumerGroupOptions(memberName: "pod", firstMember: 4)
        #expect(plan(clientID: "kitchen", options).member(1).clientID == "pod-5")
    }

    @Test func `members acknowledge after handling, in a persistent session`() {
        var configuration = MQTTClientConfiguration(host: "localhost")
        configuration.connection.firstConnection = .failFast
        func member() -> MQTTClientConfiguration {
            GroupPlan(configuration: configuration, group: "g", filters: ["a"], options: .init()).member(0)
        }
        #expect(member().acknowledgement == .afterHandling)
        #expect(member().session == .persistent)
        #expect(member().connection.firstConnection == .background)
        configuration.session = .persistent(expiry: .seconds(7))
        #expect(member().session == .persistent(expiry: .seconds(7)))
    }

    @Test func `filters are shared under the name of the group, with their options`() {
        let plan = plan(filters: ["a/#", MQTTSubscription("b", qos: .exactlyOnce)])
        #expect(plan.subscriptions.map(\.filter.filter) == ["$share/ingest/a/#", "$share/ingest/b"])
        #expect(plan.subscriptions.map(\.qos) == [.atLeastOnce, .exactlyOnce])
    }

    @Test(arguments: ["", "a/b", "a+", "#", "a\u{0}", "line\nfeed"])
    func `a share name that MQTT rules out is an error`(name: String) {
        #expect(code(plan(group: name)) == .invalidConfiguration)
    }

    @Test(arguments: ["ingest", "$x", "ä", "a b"])
    func `other share names are none`(name: String) { #expect(code(plan(group: name)) == nil) }

    @Test func `filters are checked before anything is sent`() {
        #expect(code(plan(filters: [])) == .invalidTopicFilter)
        #expect(code(plan(filters: ["$share/x/a"])) == .invalidTopicFilter)
        #expect(code(plan(filters: [""])) == .invalidTopicFilter)
        #expect(code(plan(filters: ["a/#/b"])) == .invalidTopicFilter)
        #expect(code(plan(filters: [MQTTSubscription("a", noLocal: true)])) == .invalidTopicFilter)
    }

    @Test func `numbers of members out of range are errors`() {
        for count in [-1, 1_025, .max] { #expect(code(plan(), members: count) == .invalidConfiguration) }
        for count in [0, 1, 1_024] { #expect(code(plan(), members: count) == nil) }
        for number in [-1, .max] {
            #expect(code(plan(MQTTConsumerGroupOptions(firstMember: number))) == .invalidConfiguration)
        }
    }

    @Test func `MQTT 3.1.1 needs a word of the user`() {
        #expect(code(plan(version: .v3_1_1)) == .unsupported)
        #expect(code(plan(MQTTConsumerGroupOptions(assumesSharedSubscriptions: true), version: .v3_1_1)) == nil)
    }
}
