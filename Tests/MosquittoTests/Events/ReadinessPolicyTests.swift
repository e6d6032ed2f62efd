// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A readiness policy` {
    private typealias Policy = MQTTReadinessPolicy

    private func facts(
        _ phase: Policy.Facts.Phase = .running, outage: Duration? = nil, hasConnected: Bool = true,
        tokenExpiresIn: Duration? = nil, fill: Double = 0, oldest: Duration? = nil
    ) -> Policy.Facts {
        Policy.Facts(
            phase: phase, outage: outage, hasConnected: hasConnected, tokenExpiresIn: tokenExpiresIn, queueFill: fill,
            oldestQueued: oldest)
    }

    @Test(arguments: [Policy(), .connected, .briefOutages, .accepting])
    func `finds a client ready that is connected and idle, and no client that does not run`(
        policy: MQTTReadinessPolicy
    ) {
        #expect(policy.obstacle(to: facts()) == nil)
        #expect(policy.obstacle(to: facts(.idle)) == .notStarted)
        #expect(policy.obstacle(to: facts(.stopped)) == .stopped)
    }

    @Test func `allows no outage, a brief one, or any`() {
        let brief = facts(outage: .seconds(60))
        #expect(Policy.connected.obstacle(to: brief) == .outage(.seconds(60)))
        #expect(Policy.briefOutages.obstacle(to: brief) == nil)
        #expect(Policy.accepting.obstacle(to: brief) == nil)
        let long = facts(outage: .seconds(61))
        #expect(Policy.briefOutages.obstacle(to: long) == .outage(.seconds(61)))
        #expect(Policy.accepting.obstacle(to: long) == nil)
        // Even one that has only begun.
        #expect(Policy.connected.obstacle(to: facts(outage: .zero)) == .outage(.zero))
    }

    @Test func `waits for the first connection, however long an outage may be`() {
        let new = facts(outage: .seconds(1), hasConnected: false)
        #expect(Policy.connected.obstacle(to: new) == .neverConnected(.seconds(1)))
        #expect(Policy.briefOutages.obstacle(to: new) == .neverConnected(.seconds(1)))
        #expect(Policy(maximumOutage: .seconds(3_600)).obstacle(to: new) == .neverConnected(.seconds(1)))
        #expect(Policy.accepting.obstacle(to: new) == nil)
    }

    @Test func `wants a token that has not expired, if it says so`() {
        let expired = facts(tokenExpiresIn: .seconds(-3))
        #expect(Policy.connected.obstacle(to: expired) == .tokenExpired(.seconds(3)))
        #expect(Policy.briefOutages.obstacle(to: expired) == .tokenExpired(.seconds(3)))
        #expect(Policy.accepting.obstacle(to: expired) == nil)
        #expect(Policy(maximumOutage: .zero).obstacle(to: expired) == nil)
        #expect(Policy.connected.obstacle(to: facts(tokenExpiresIn: .seconds(1))) == nil)
    }

    @Test func `bounds the queue by fill and by age`() {
        for policy in [Policy.briefOutages, .accepting] {
            #expect(policy.obstacle(to: facts(fill: 0.8)) == nil)
            #expect(policy.obstacle(to: facts(fill: 0.81)) == .queueFull(0.81))
        }
        #expect(Policy.connected.obstacle(to: facts(fill: 2)) == nil)
        let old = Policy(maximumQueueAge: .seconds(30))
        #expect(old.obstacle(to: facts(oldest: .seconds(30))) == nil)
        #expect(old.obstacle(to: facts(oldest: .seconds(31))) == .queueStuck(.seconds(31)))
    }

    @Test func `says each obstacle in a line`() {
        let texts = [
            Policy.Obstacle.notStarted, .stopped, .neverConnected(.seconds(2)), .outage(.milliseconds(1_500)),
            .tokenExpired(.seconds(3)), .queueFull(0.815), .queueStuck(.seconds(31)),
        ].map(\.description)
        #expect(
            texts == [
                "the client does not run yet", "the client has stopped",
                "not connected yet, 2.0 seconds after the start", "no connection for 1.5 seconds",
                "the token expired 3.0 seconds ago", "82 % of the queue is in use",
                "the oldest message has waited for 31.0 seconds",
            ])
        #expect(!Policy.Obstacle.queueFull(.infinity).description.isEmpty)
    }
}
