// SPDX-License-Identifier: Apache-2.0

/// Computes the delays of a ``MQTTRetryPolicy``. A value without a clock: callers pass the source of randomness.
///
/// The upper bound doubles with every failure. The first five delays are drawn from the whole range ("full jitter"),
/// which spreads clients that lost the same broker at the same moment. Later delays are drawn from the upper third,
/// since small ones would only bring many clients back together when the broker returns; and no delay exceeds five
/// thirds of the sum of all delays so far, so that every client recovers quickly from a short outage. The last two
/// rules balance each other: either one alone raises the peak. `docs/retry-simulation.md` shows their effect on 100,000
/// clients.
package struct Backoff: Sendable {
    /// Number of failures after which clients are considered spread.
    static let spreadAfter = 5
    /// Lower bound of the later delays, as a fraction of the upper bound.
    static let spreadFloor = 2.0 / 3
    /// Upper bound of the next delay, as a multiple of the sum of all delays so far.
    static let outageFactor = 5.0 / 3

    private let policy: MQTTRetryPolicy
    /// Number of failures since the last reset.
    private(set) var failures = 0
    /// Sum of the delays since the last reset: the length of the outage, as far as this client has waited for it.
    private(set) var waited = Duration.zero

    package init(_ policy: MQTTRetryPolicy) { self.policy = policy }

    /// Returns the delay after a failure of this tier, and counts the failure.
    /// - Parameter endpoints: number of endpoints that are tried in turn; the bound grows after each of them has
    ///   failed.
    package mutating func next(
        _ tier: MQTTRetryPolicy.Tier, endpoints: Int = 1, using generator: inout some RandomNumberGenerator
    ) -> Duration {
        let round = failures / max(endpoints, 1)
        var upper = Self.doubled(policy.baseDelay, times: round, cap: policy.maximumDelay)
        if tier == .standard { upper = min(upper, max(policy.baseDelay, waited * Self.outageFactor)) }
        upper = max(upper, policy.maximumDelay * tier.startFraction)
        let lower = round >= Self.spreadAfter ? Self.spreadFloor : 0
        let floor =
            tier == .authentication ? max(policy.minimumDelay, policy.minimumAuthenticationDelay) : policy.minimumDelay
        let drawn = upper * Double.random(in: lower...1, using: &generator)
        let delay = max(min(floor, policy.maximumDelay), drawn)
        failures += 1
        waited += delay
        return delay
    }

    /// Records the end of a connection that was up for `uptime`.
    mutating func connectionLasted(_ uptime: Duration) {
        if uptime >= policy.resetAfter { reset() }
    }

    mutating func reset() {
        failures = 0
        waited = .zero
    }

    static func doubled(_ base: Duration, times: Int, cap: Duration) -> Duration {
        var value = base
        for _ in 0..<times {
            if value >= cap { break }
            value = value * 2
        }
        return min(value, cap)
    }
}

extension MQTTRetryPolicy.Tier {
    /// The initial upper bound, as a fraction of the maximum delay.
    fileprivate var startFraction: Double {
        switch self {
        case .standard, .authentication: 0
        case .slow: 0.25
        case .rateLimited: 0.5
        }
    }
}
