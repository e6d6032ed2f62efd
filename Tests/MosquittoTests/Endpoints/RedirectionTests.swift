// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A redirection` {
    private static let a = MQTTEndpoint(host: "a", port: 1)
    private static let b = MQTTEndpoint(host: "b", port: 1)
    private static let c = MQTTEndpoint(host: "c", port: 1)

    private func selector(
        _ policy: MQTTRedirectPolicy = .any, _ endpoints: [MQTTEndpoint] = [a]
    ) -> EndpointSelector {
        var generator = JitterGenerator(seed: 1)
        return EndpointSelector(endpoints, order: .ordered, policy: policy, using: &generator)
    }

    /// The hosts of one attempt after the other, all of which fail.
    private func hosts(_ selector: EndpointSelector, count: Int) -> [String] {
        var selector = selector
        return (0..<count).map { _ in
            defer { selector.attemptFailed() }
            return selector.current.host
        }
    }

    // MARK: The policy

    @Test func `is not followed by default`() {
        var selector = selector(.none, [Self.a, Self.b])
        #expect(selector.follow("b:1", isPermanent: false) == nil)
        #expect(selector.follow("b:1", isPermanent: true) == nil)
        #expect(selector.current == Self.a)
        #expect(hosts(selector, count: 3) == ["a", "b", "a"])
    }

    @Test func `to a host that is not listed is not followed`() {
        var selector = selector(.listed, [Self.a, Self.b])
        for reference in ["evil:1", "ab:1", "b.evil:1", "evilb:1", "sub.b:1", "b%.evil:1"] {
            #expect(selector.follow(reference, isPermanent: false) == nil)
            #expect(selector.follow(reference, isPermanent: true) == nil)
        }
        #expect(selector.current == Self.a)
    }

    @Test(arguments: ["b:1", "B:1", "b.:1", "B.:1"])
    func `to a listed host is followed, however it is written`(reference: String) {
        var selector = selector(.listed, [Self.a, Self.b])
        #expect(selector.follow(reference, isPermanent: false)?.port == 1)
    }

    @Test func `is followed if the list is the one with capitals and a dot`() {
        var selector = selector(.listed, [Self.a, MQTTEndpoint(host: "Broker.Example.COM.", port: 1)])
        #expect(selector.follow("broker.example.com:1", isPermanent: false)?.host == "broker.example.com")
    }

    @Test func `to a listed host is followed at any port`() {
        var selector = selector(.listed, [Self.a])
        #expect(selector.follow("a:2", isPermanent: false) == MQTTEndpoint(host: "a", port: 2))
    }

    @Test func `to the path of a listed Unix socket is not followed`() {
        var selector = selector(.listed, [Self.a, .unixSocket("socket")])
        #expect(selector.follow("socket:1", isPermanent: false) == nil)
    }

    @Test func `to any host is followed if the policy says so, with the port in use if it names none`() {
        var selector = selector(.any)
        #expect(selector.follow("elsewhere", isPermanent: false) == MQTTEndpoint(host: "elsewhere", port: 1))
        #expect(selector.current == MQTTEndpoint(host: "elsewhere", port: 1))
    }

    @Test func `goes to the first of several that is allowed`() {
        var selector = selector(.listed, [Self.a, Self.b, Self.c])
        #expect(selector.follow("evil:1 mqtt://b c:1 b:1", isPermanent: false) == Self.c)
    }

    @Test(arguments: [nil, "", "nonsense:x", "a:1"] as [String?])
    func `without anywhere else to go is not followed`(reference: String?) {
        var selector = selector()
        #expect(selector.follow(reference, isPermanent: false) == nil)
        #expect(selector.current == Self.a)
    }

    // MARK: Series of redirections

    @Test func `is the last at the third in a row`() {
        var selector = selector()
        for host in ["b", "c", "d"] { #expect(selector.follow(host, isPermanent: false)?.host == host) }
        #expect(selector.follow("e", isPermanent: false) == nil)
        #expect(selector.current.host == "d")
    }

    @Test func `to where the client came from is not followed`() {
        var selector = selector()
        _ = selector.follow("b", isPermanent: false)
        #expect(selector.follow("a", isPermanent: false) == nil)
        _ = selector.follow("c", isPermanent: false)
        #expect(selector.follow("a", isPermanent: false) == nil)
        #expect(selector.follow("b", isPermanent: false) == nil)
    }

    @Test func `begins a new row after a failure`() {
        var selector = selector()
        for host in ["b", "c", "d"] { _ = selector.follow(host, isPermanent: false) }
        selector.attemptFailed()
        #expect(selector.current == Self.a)
        #expect(selector.follow("b", isPermanent: false) == Self.b)
    }

    @Test func `begins a new row after a connection that lasted`() {
        var selector = selector()
        _ = selector.follow("b", isPermanent: false)
        selector.connectionLasted()
        #expect(selector.follow("a", isPermanent: false) == Self.a)
    }

    @Test func `goes on with its row after a connection that did not last`() {
        var selector = selector()
        for _ in 0..<3 {
            #expect(selector.follow("b", isPermanent: false) == Self.b)
            selector.connectionLost(isStable: false, isGoingAway: false)
            #expect(selector.current == Self.a)
        }
        #expect(selector.follow("b", isPermanent: false) == nil)
    }

    // MARK: Temporary and permanent redirections

    @Test func `for the time being returns to the origin after a failure`() {
        var selector = selector(.any, [Self.a, Self.b])
        _ = selector.follow("x", isPermanent: false)
        #expect(hosts(selector, count: 4) == ["x", "a", "b", "a"])
    }

    @Test(arguments: [true, false], [true, false])
    func `for the time being returns to the list after a loss`(isStable: Bool, isGoingAway: Bool) {
        var selector = selector(.any, [Self.a, Self.b])
        _ = selector.follow("x", isPermanent: false)
        selector.connectionLost(isStable: isStable, isGoingAway: isGoingAway)
        #expect(hosts(selector, count: 3) == ["a", "b", "a"])
    }

    @Test func `for good takes the place, and the origin is the last resort`() {
        var selector = selector(.any, [Self.a, Self.b])
        #expect(selector.follow("x:1", isPermanent: true)?.host == "x")
        #expect(hosts(selector, count: 4) == ["x", "b", "a", "x"])
        selector.connectionLost(isStable: true, isGoingAway: false)
        #expect(selector.current.host == "x")
        #expect(selector.count == 3)
    }

    @Test func `for good to a listed one puts it before the one that moved, and makes no second entry`() {
        var selector = selector(.listed, [Self.a, Self.b, Self.c])
        #expect(selector.follow("c:1", isPermanent: true) == Self.c)
        #expect(hosts(selector, count: 4) == ["c", "b", "a", "c"])
        #expect(selector.count == 3)
    }

    @Test func `for good by one that is for the time being is for the time being`() {
        var selector = selector(.any, [Self.a])
        _ = selector.follow("x", isPermanent: false)
        #expect(selector.follow("y", isPermanent: true)?.host == "y")
        #expect(hosts(selector, count: 3) == ["y", "a", "a"])
        #expect(selector.count == 1)
    }
}
