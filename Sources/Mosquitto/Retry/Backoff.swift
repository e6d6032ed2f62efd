/// The delays of a ``MQTTRetryPolicy``: exponential with full jitter. A value: time and randomness are given to it.
struct Backoff: Sendable {
    private let policy: MQTTRetryPolicy
    /// Failures since the last reset.
    private(set) var failures = 0

    init(_ policy: MQTTRetryPolicy) { self.policy = policy }

    /// The delay after a failure of this tier, and one more failure counted.
    mutating func next(_ tier: MQTTRetryPolicy.Tier, using generator: inout some RandomNumberGenerator) -> Duration {
        var upper = Self.doubled(policy.baseDelay, times: failures, cap: policy.maximumDelay)
        if tier == .slow { upper = max(upper, policy.maximumDelay / 4) }
        let floor =
            tier == .authentication ? max(policy.minimumDelay, policy.minimumAuthenticationDelay) : policy.minimumDelay
        failures += 1
        return max(min(floor, policy.maximumDelay), upper * Double.random(in: 0...1, using: &generator))
    }

    /// A connection has ended after it was up for `uptime`.
    mutating func connectionLasted(_ uptime: Duration) {
        if uptime >= policy.resetAfter { failures = 0 }
    }

    mutating func reset() { failures = 0 }

    static func doubled(_ base: Duration, times: Int, cap: Duration) -> Duration {
        var value = base
        for _ in 0..<times {
            if value >= cap { break }
            value = value * 2
        }
        return min(value, cap)
    }
}

/// SplitMix64: a small seeded generator for jitter. Not for secrets.
struct JitterGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64?) { state = seed ?? UInt64.random(in: .min ... .max) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
