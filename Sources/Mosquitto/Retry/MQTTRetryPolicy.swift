// SPDX-License-Identifier: Apache-2.0

/// The rules by which a client retries its first connection and every later one.
///
/// The delay after failure *n*, counted from 0, is drawn from `0 ... min(maximumDelay, baseDelay * 2^n)` ("full
/// jitter"), and from the sixth failure on from the upper third of that range. It is never below ``minimumDelay``, and
/// never above five thirds of the sum of all delays so far. A ``Decision`` selects the tier of the delay, or stops the
/// client.
public struct MQTTRetryPolicy: Sendable {
    /// The reaction to a failure.
    public enum Decision: Sendable, Hashable {
        /// Retry after a delay of this tier.
        case retry(Tier)
        /// Ask the credential provider for fresh credentials and retry at once. If there is no provider, it has no new
        /// credentials, or fresh ones were already rejected, this is `.retry(.authentication)`.
        case retryWithFreshCredentials
        /// Connect to the server named by the broker at once, if ``MQTTConnectionOptions/redirects`` allows it. If
        /// not, or if the broker named none, this is `.retry(.slow)`.
        case redirect
        /// Stop the client: `run()` and all waiting calls throw the error.
        case stop

        var isStop: Bool { self == .stop }
    }

    /// The length of the delay after a failure.
    public enum Tier: Sendable, Hashable {
        /// The usual delay.
        case standard
        /// A delay whose upper bound starts at a quarter of ``MQTTRetryPolicy/maximumDelay``: for failures that do not
        /// resolve themselves soon.
        case slow
        /// A delay whose upper bound starts at half of ``MQTTRetryPolicy/maximumDelay``: the broker counts connections,
        /// and each attempt makes matters worse.
        case rateLimited
        /// A delay of at least ``MQTTRetryPolicy/minimumAuthenticationDelay``, which limits the load on the token
        /// issuer and the noise in the broker's log.
        case authentication
    }

    /// The point at which a client gives up.
    ///
    /// The attempts of two clients with one identifier all succeed: connections that end as if another client had taken
    /// the session count, too, from the fifth short one in a row on, with ``MQTTError/Code/sessionTakenOver``.
    public enum Limit: Sendable, Hashable {
        case forever
        /// Give up after this number of failed attempts, or of suspected takeovers, in a row.
        case attempts(Int)
        /// Give up when this time has passed since the last established connection, since the start, or since the first
        /// of the suspected takeovers in a row.
        case elapsed(Duration)
    }

    /// The upper bound of the first delay. Default 1 s.
    public var baseDelay: Duration = .seconds(1)
    /// The upper bound of every delay. Default 120 s.
    public var maximumDelay: Duration = .seconds(120)
    /// The lower bound of every delay. Default 100 ms.
    public var minimumDelay: Duration = .milliseconds(100)
    /// The lower bound of a delay after the credentials were rejected or the provider failed. Default 5 s.
    public var minimumAuthenticationDelay: Duration = .seconds(5)
    /// The time that a connection must last before the delays start from ``baseDelay`` again. Default 30 s.
    public var resetAfter: Duration = .seconds(30)
    /// The limit on the rate of attempts per endpoint, for all clients of the process that share the budget. Default:
    /// ``MQTTRetryBudget/shared``; `nil` for no limit.
    public var budget: MQTTRetryBudget? = .shared
    /// The point at which the client gives up. Default: never.
    public var limit: Limit = .forever
    /// The seed of the jitter, for reproducible runs; random by default.
    public var seed: UInt64?
    /// A closure that replaces the standard table; call ``Decision/standard(for:)`` for all but your special cases. It
    /// runs on the client's event loop: it must be quick and must not block.
    public var decide: @Sendable (MQTTFailure) -> Decision = { Decision.standard(for: $0) }

    public init() {}

    /// A policy for production: keeps retrying after failures that can resolve themselves, and stops after those that
    /// cannot, such as a protocol version that the broker does not support.
    public static let production = MQTTRetryPolicy()

    /// A policy that never retries.
    public static let none: MQTTRetryPolicy = {
        var policy = MQTTRetryPolicy()
        policy.decide = { _ in .stop }
        return policy
    }()

    /// A policy that stops at the first failure until the client has connected once, and is ``production`` from then
    /// on.
    public static let failFast: MQTTRetryPolicy = {
        var policy = MQTTRetryPolicy()
        policy.decide = { $0.isInitial ? .stop : Decision.standard(for: $0) }
        return policy
    }()

    func validate() throws(MQTTError) {
        func check(_ valid: Bool, _ message: String) throws(MQTTError) {
            if !valid { throw .invalid(.invalidConfiguration, "retry policy: " + message) }
        }
        try check(baseDelay > .zero, "baseDelay is \(baseDelay); it must be above zero")
        try check(maximumDelay >= baseDelay, "maximumDelay \(maximumDelay) is below baseDelay \(baseDelay)")
        try check(minimumDelay >= .zero, "minimumDelay is negative")
        try check(minimumAuthenticationDelay >= .zero, "minimumAuthenticationDelay is negative")
        try check(resetAfter >= .zero, "resetAfter is negative")
        switch limit {
        case .forever: break
        case .attempts(let attempts): try check(attempts > 0, "a limit of \(attempts) attempts allows none")
        case .elapsed(let time): try check(time > .zero, "a limit of \(time) allows no second attempt; use .none")
        }
    }
}
