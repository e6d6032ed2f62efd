/// The delays of a ``MQTTRetryPolicy``. A value: randomness is given to it, and there is no clock in it.
///
/// The upper bound doubles with every failure. The first five delays are drawn from all of it ("full jitter"), which
/// spreads clients that lost the same broker at the same moment. Later delays are drawn from the upper third, since small
/// ones would only bring many of them back together when the broker returns; and none is longer than five thirds of all
/// delays so far, so that a short outage is over soon for everyone. The last two rules balance each other: either alone
/// makes the peak higher. What they do to 100,000 clients is in `docs/retry-simulation.md`.
package struct Backoff: Sendable {
    /// Failures from which on clients are taken to be spread.
    static let spreadAfter = 5
    /// The part of the upper bound below which no later delay lies.
    static let spreadFloor = 2.0 / 3
    /// How much longer than all delays so far the next one may be.
    static let outageFactor = 5.0 / 3

    private let policy: MQTTRetryPolicy
    /// Failures since the last reset.
    private(set) var failures = 0
    /// The sum of the delays since the last reset: how long the outage has lasted, as far as this client waited for it.
    private(set) var waited = Duration.zero

    package init(_ policy: MQTTRetryPolicy) { self.policy = policy }

    /// The delay after a failure of this tier, and one more failure counted.
    /// - Parameter endpoints: how many endpoints are tried in turn; the bound grows when each of them has failed.
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

    /// A connection has ended after it was up for `uptime`.
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
    /// The part of the longest delay that the upper bound starts at.
    fileprivate var startFraction: Double {
        switch self {
        case .standard, .authentication: 0
        case .slow: 0.25
        case .rateLimited: 0.5
        }
    }
}
