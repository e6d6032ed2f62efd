// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The endpoint that is next` {
    private static let a = MQTTEndpoint(host: "a", port: 1)
    private static let b = MQTTEndpoint(host: "b", port: 1)
    private static let c = MQTTEndpoint(host: "c", port: 1)

    private func selector(
        _ endpoints: [MQTTEndpoint] = [a, b, c], order: MQTTEndpointOrder = .ordered, seed: UInt64 = 1
    ) -> EndpointSelector {
        var generator = JitterGenerator(seed: seed)
        return EndpointSelector(endpoints, order: order, policy: .listed, using: &generator)
    }

    /// The hosts of one attempt after the other, all of which fail.
    private func hosts(_ selector: EndpointSelector, count: Int) -> [String] {
        var selector = selector
        return (0..<count).map { _ in
            defer { selector.attemptFailed() }
            return selector.current.host
        }
    }

    @Test func `begins with the first, and is another after each failure, all in turn`() {
        #expect(hosts(selector(), count: 7) == ["a", "b", "c", "a", "b", "c", "a"])
        #expect(selector().count == 3)
    }

    @Test func `is always the same one if there is no other`() {
        var selector = selector([Self.a])
        #expect(hosts(selector, count: 3) == ["a", "a", "a"])
        selector.connectionLost(isStable: false, isGoingAway: true)
        #expect(selector.current == Self.a)
    }

    @Test func `is the preferred one again after a connection that lasted`() {
        var selector = selector()
        selector.attemptFailed()
        selector.attemptFailed()
        selector.connectionLost(isStable: true, isGoingAway: false)
        #expect(selector.current == Self.a)
    }

    @Test func `is the same after a connection to the preferred one that lasted`() {
        var selector = selector()
        selector.connectionLost(isStable: true, isGoingAway: false)
        #expect(selector.current == Self.a)
    }

    @Test func `is another after a connection that did not last`() {
        var selector = selector()
        for host in ["b", "c", "a"] {
            selector.connectionLost(isStable: false, isGoingAway: false)
            #expect(selector.current.host == host)
        }
    }

    @Test(arguments: [true, false])
    func `is another when the preferred one goes away`(isStable: Bool) {
        var selector = selector()
        selector.connectionLost(isStable: isStable, isGoingAway: true)
        #expect(selector.current == Self.b)
    }

    @Test func `is the preferred one when another one goes away after it has lasted`() {
        var selector = selector()
        selector.attemptFailed()
        selector.connectionLost(isStable: true, isGoingAway: true)
        #expect(selector.current == Self.a)
    }

    // MARK: Shuffled

    private let many = (0..<20).map { MQTTEndpoint(host: "host\($0)", port: 1) }

    @Test func `has all of a shuffled list in turn, in the same order every time`() {
        let shuffled = selector(many, order: .shuffled)
        let round = hosts(shuffled, count: 20)
        #expect(Set(round) == Set(many.map(\.host)))
        #expect(round != many.map(\.host))
        #expect(hosts(shuffled, count: 40) == round + round)
    }

    @Test func `is drawn from a seed`() {
        #expect(
            hosts(selector(many, order: .shuffled, seed: 5), count: 20)
                == hosts(selector(many, order: .shuffled, seed: 5), count: 20))
        #expect(
            hosts(selector(many, order: .shuffled, seed: 5), count: 20)
                != hosts(selector(many, order: .shuffled, seed: 6), count: 20))
    }

    @Test func `spreads clients evenly over a shuffled list`() {
        var firsts: [String: Int] = [:]
        for seed in UInt64(0)..<3_000 {
            firsts[selector(order: .shuffled, seed: seed).current.host, default: 0] += 1
        }
        for host in ["a", "b", "c"] { #expect((900...1_100).contains(firsts[host] ?? 0)) }
    }
}
