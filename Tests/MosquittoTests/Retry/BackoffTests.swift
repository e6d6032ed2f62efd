import Testing

@testable import Mosquitto

@Suite struct `The delays of a backoff` {
    /// The shortest and the longest of many delays after this number of failures.
    private func bounds(
        _ tier: MQTTRetryPolicy.Tier, failures: Int, _ policy: MQTTRetryPolicy = .production
    ) -> (least: Duration, most: Duration) {
        let delays = (UInt64(0)..<2_000).map { seed in
            var backoff = Backoff(policy)
            var generator = JitterGenerator(seed: seed)
            for _ in 0..<failures { _ = backoff.next(tier, using: &generator) }
            return backoff.next(tier, using: &generator)
        }
        return (delays.min()!, delays.max()!)
    }

    /// Just below the bound, and never above it.
    private func reaches(_ delay: Duration, _ bound: Duration) -> Bool { delay <= bound && delay > bound * 0.98 }

    @Test(arguments: [(0, 1), (1, 2), (2, 4), (6, 64), (7, 120), (40, 120)])
    func `the upper bound doubles up to the cap, the lower is the floor`(failures: Int, upper: Int) {
        let bounds = bounds(.standard, failures: failures)
        #expect(bounds.least >= .milliseconds(100))
        #expect(bounds.least < .milliseconds(200))
        #expect(reaches(bounds.most, .seconds(upper)))
    }

    @Test func `the slow tier starts at a quarter of the cap`() {
        #expect(reaches(bounds(.slow, failures: 0).most, .seconds(30)))
        #expect(reaches(bounds(.slow, failures: 6).most, .seconds(64)))
    }

    @Test func `the authentication tier has a floor of its own`() {
        #expect(bounds(.authentication, failures: 0) == (.seconds(5), .seconds(5)))
        #expect(bounds(.authentication, failures: 9).least == .seconds(5))
    }

    @Test func `no floor is above the cap`() {
        var policy = MQTTRetryPolicy()
        policy.maximumDelay = .seconds(2)
        #expect(bounds(.authentication, failures: 0, policy) == (.seconds(2), .seconds(2)))
        #expect(bounds(.slow, failures: 0, policy).most <= .seconds(2))
    }

    @Test func `is reset by a connection that lasted, and by nothing less`() {
        var backoff = Backoff(.production)
        var generator = JitterGenerator(seed: 1)
        for _ in 0..<3 { _ = backoff.next(.standard, using: &generator) }
        backoff.connectionLasted(.milliseconds(29_999))
        #expect(backoff.failures == 3)
        backoff.connectionLasted(.seconds(30))
        #expect(backoff.failures == 0)
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
