// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The delays of a backoff` {
    typealias Tier = MQTTRetryPolicy.Tier

    /// The delays of one client after this number of failures in a row.
    private func delays(
        _ tier: Tier, count: Int, seed: UInt64 = 1, endpoints: Int = 1, _ policy: MQTTRetryPolicy = .production
    ) -> [Duration] {
        var backoff = Backoff(policy)
        var generator = JitterGenerator(seed: seed)
        return (0..<count).map { _ in backoff.next(tier, endpoints: endpoints, using: &generator) }
    }

    /// The shortest and the longest of many clients' delays after this number of failures.
    private func bounds(
        _ tier: Tier, failures: Int, _ policy: MQTTRetryPolicy = .production
    ) -> (least: Duration, most: Duration) {
        let delays = (UInt64(0)..<2_000).map { self.delays(tier, count: failures + 1, seed: $0, policy).last! }
        return (delays.min()!, delays.max()!)
    }

    /// Just below the bound, and never above it.
    private func reaches(_ delay: Duration, _ bound: Duration) -> Bool { delay <= bound && delay > bound * 0.98 }

    /// Just above the bound, and never below it.
    private func startsAt(_ delay: Duration, _ bound: Duration) -> Bool { delay >= bound && delay < bound * 1.02 }

    // MARK: The standard tier

    @Test func `the first is drawn from all of the base delay`() {
        let bounds = bounds(.standard, failures: 0)
        #expect(bounds.least == .milliseconds(100))
        #expect(reaches(bounds.most, .seconds(1)))
    }

    @Test(arguments: 0..<5)
    func `the first five have full jitter, down to the floor`(failures: Int) {
        let bounds = bounds(.standard, failures: failures)
        #expect(startsAt(bounds.least, .milliseconds(100)))
        #expect(bounds.most <= .seconds(1 << failures))
    }

    @Test func `none is above the bound, which doubles up to the cap`() {
        for seed in UInt64(0)..<200 {
            for (failure, delay) in delays(.standard, count: 20, seed: seed).enumerated() {
                #expect(delay <= min(.seconds(1 << failure), .seconds(120)))
            }
        }
    }

    @Test func `none is above five thirds of all before it, or the base delay`() {
        for seed in UInt64(0)..<200 {
            var waited = Duration.zero
            for delay in delays(.standard, count: 20, seed: seed) {
                #expect(delay <= max(.seconds(1), waited * (5.0 / 3)))
                waited += delay
            }
        }
    }

    @Test func `from the sixth on they lie in the upper third of their bound`() {
        for seed in UInt64(0)..<200 {
            let delays = self.delays(.standard, count: 20, seed: seed)
            for (failure, delay) in delays.enumerated().dropFirst(5) {
                let waited = delays[..<failure].reduce(.zero, +)
                let upper = min(.seconds(1 << failure), .seconds(120), max(.seconds(1), waited * (5.0 / 3)))
                #expect(delay >= upper * 0.666 && delay <= upper)
            }
        }
    }

    @Test func `in a long outage they lie between 80 and 120 seconds`() {
        let bounds = bounds(.standard, failures: 40)
        #expect(startsAt(bounds.least, .seconds(80)))
        #expect(reaches(bounds.most, .seconds(120)))
    }

    // MARK: The other tiers

    @Test(arguments: [(Tier.slow, 30), (.rateLimited, 60)])
    func `the slow tiers start at a part of the cap`(tier: Tier, upper: Int) {
        let bounds = bounds(tier, failures: 0)
        #expect(reaches(bounds.most, .seconds(upper)))
        #expect(bounds.least < .seconds(1))
    }

    @Test(arguments: [(Tier.slow, 5, 32), (.slow, 6, 64), (.rateLimited, 5, 60), (.rateLimited, 7, 120)])
    func `the slow tiers grow when the doubled base delay is above their start, however short the outage`(
        tier: Tier, failures: Int, upper: Int
    ) {
        let bounds = bounds(tier, failures: failures)
        #expect(reaches(bounds.most, .seconds(upper)))
        #expect(startsAt(bounds.least, .seconds(upper) * (2.0 / 3)))
    }

    @Test func `a slow failure after short ones has the slow bound`() {
        var most = Duration.zero
        for seed in UInt64(0)..<2_000 {
            var backoff = Backoff(.production)
            var generator = JitterGenerator(seed: seed)
            _ = backoff.next(.standard, using: &generator)
            most = max(most, backoff.next(.slow, using: &generator))
        }
        #expect(reaches(most, .seconds(30)))
    }

    @Test func `the authentication tier has a floor of its own`() {
        #expect(bounds(.authentication, failures: 0) == (.seconds(5), .seconds(5)))
        #expect(bounds(.authentication, failures: 4).least == .seconds(5))
        #expect(startsAt(bounds(.authentication, failures: 9).least, .seconds(80)))
    }

    @Test func `no floor is above the cap`() {
        var policy = MQTTRetryPolicy()
        policy.maximumDelay = .seconds(2)
        #expect(bounds(.authentication, failures: 0, policy) == (.seconds(2), .seconds(2)))
        #expect(bounds(.slow, failures: 0, policy).most <= .seconds(2))
        #expect(bounds(.rateLimited, failures: 0, policy).most <= .seconds(2))
    }

    // MARK: Rounds, seeds, resets

    @Test func `the bound doubles when every endpoint has failed`() {
        for seed in UInt64(0)..<200 {
            for (failure, delay) in delays(.authentication, count: 30, seed: seed, endpoints: 3).enumerated() {
                #expect(delay <= max(.seconds(5), .seconds(1 << (failure / 3))))
            }
        }
    }

    @Test func `with several endpoints the upper third begins after five rounds`() {
        let delays = (UInt64(0)..<500).map { self.delays(.slow, count: 16, seed: $0, endpoints: 3) }
        #expect(delays.map { $0[14] }.min()! < .seconds(1))
        #expect(delays.map { $0[15] }.min()! >= .seconds(32) * (2.0 / 3))
    }

    @Test(arguments: [0, -1])
    func `no endpoints count as one`(endpoints: Int) {
        #expect(delays(.standard, count: 9, endpoints: endpoints) == delays(.standard, count: 9))
    }

    @Test(arguments: [Tier.standard, .slow, .rateLimited, .authentication])
    func `a seed gives the same delays again`(tier: Tier) {
        #expect(delays(tier, count: 20, seed: 7) == delays(tier, count: 20, seed: 7))
        #expect(delays(tier, count: 20, seed: 7) != delays(tier, count: 20, seed: 8))
    }

    @Test func `is reset by a connection that lasted, and by nothing less`() {
        var backoff = Backoff(.production)
        var generator = JitterGenerator(seed: 1)
        for _ in 0..<3 { _ = backoff.next(.standard, using: &generator) }
        backoff.connectionLasted(.milliseconds(29_999))
        #expect(backoff.failures == 3)
        #expect(backoff.waited > .zero)
        backoff.connectionLasted(.seconds(30))
        #expect(backoff.failures == 0)
        #expect(backoff.waited == .zero)
    }

    @Test func `the longest durations do not overflow`() {
        let cap = Duration.seconds(Int64.max)
        #expect(Backoff.doubled(.seconds(1), times: .max, cap: cap) == cap)
    }

    @Test func `the jitter of a seed is always the same`() {
        var generator = JitterGenerator(seed: 0)
        // The reference values of SplitMix64.
        #expect(generator.next() == 0xE220_A839_7B1D_CDAF)
        #expect(generator.next() == 0x6E78_9E6A_A1B9_65F4)
    }
}
