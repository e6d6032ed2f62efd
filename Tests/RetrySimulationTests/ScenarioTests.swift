// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import RetrySimulation

@Suite(.turn(.simulation)) struct `A simulated scenario` {
    /// Dials each second.
    private func everySecond(_ scenario: Scenario) -> Outcome {
        scenario.simulate { PeerClient(MQTTJSPolicy(), seed: $0) }
    }

    @Test func `a broker that accepts all has everybody back with the first dial`() {
        let outcome = everySecond(Scenario(clients: 10, outage: .seconds(3), capacity: nil))
        #expect(outcome.arrivals == [0, 10, 10, 10])
        #expect(outcome.recoveries == Array(repeating: .zero, count: 10))
        #expect(outcome.peak == 10)
    }

    @Test func `a finite broker accepts so many in each second and refuses the others`() {
        let outcome = everySecond(Scenario(clients: 10, outage: .seconds(3), capacity: 4))
        #expect(outcome.arrivals == [0, 10, 10, 10, 6, 2])
        #expect(outcome.recoveries.map(\.wholeSeconds) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
        #expect(outcome.busiest(seconds: 2) == 16)
        #expect(outcome.recovery(of: 0.5) == .seconds(1))
        #expect(outcome.fullRecovery == .seconds(2))
    }

    @Test func `without clients nothing happens`() {
        let outcome = everySecond(Scenario(clients: 0))
        #expect(outcome == Outcome(outage: .seconds(60)))
        #expect(outcome.peak == 0)
        #expect(outcome.fullRecovery == .zero)
    }

    @Test func `our client sleeps as the policy for production says`() {
        var client = MachineClient(seed: 7)
        var backoff = Backoff(.production)
        var generator = JitterGenerator(seed: 7)
        var now = Duration.zero
        var step = client.connectionLost(at: now)
        for _ in 0..<12 {
            let delay = backoff.next(.standard, using: &generator)
            #expect(step == .sleep(delay))
            now += delay
            #expect(client.wake(at: now) == .dial)
            step = client.refused(at: now)
        }
    }
}
