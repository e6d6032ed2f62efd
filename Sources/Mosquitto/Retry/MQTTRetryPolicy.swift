/// When a client tries again: the first connection, and every later one, by the same rules.
///
/// The delay after failure *n*, counted from 0, is drawn from `0 ... min(maximumDelay, baseDelay * 2^n)` ("full jitter"),
/// from the sixth failure on from the upper third of that; it is never below ``minimumDelay``, and not above five thirds of
/// all delays so far. What kind of delay a failure deserves, or whether it ends the client, is a ``Decision``.
public struct MQTTRetryPolicy: Sendable {
    /// What to do after a failure.
    public enum Decision: Sendable, Hashable {
        /// Try again after a delay of this tier.
        case retry(Tier)
        /// Ask the credential provider for fresh credentials and try again at once; if there is no provider, it has
        /// nothing new, or fresh credentials were refused already, this is `.retry(.authentication)`.
        case retryWithFreshCredentials
        /// Go to the server that the broker has named, at once, if ``MQTTClientConfiguration/redirects`` allows it; if not, or if
        /// it named none, this is `.retry(.slow)`.
        case redirect
        /// Stop: `run()` throws the error, and so does every waiter.
        case stop

        var isStop: Bool { self == .stop }
    }

    /// How long a delay a failure deserves.
    public enum Tier: Sendable, Hashable {
        /// The common case.
        case standard
        /// The delay's upper bound starts at a quarter of ``MQTTRetryPolicy/maximumDelay``: for what does not heal by itself soon.
        case slow
        /// The same from a half of it: the broker counts connections, and another one makes it worse.
        case rateLimited
        /// Never below ``MQTTRetryPolicy/minimumAuthenticationDelay``: spares the issuer of tokens and the broker's log.
        case authentication
    }

    /// When to give up.
    public enum Limit: Sendable, Hashable {
        case forever
        /// After this many failed attempts in a row.
        case attempts(Int)
        /// When this much time has passed since the last established connection, or since the start.
        case elapsed(Duration)
    }

    /// The upper bound of the first delay. Default 1 s.
    public var baseDelay: Duration = .seconds(1)
    /// The upper bound of every delay. Default 120 s.
    public var maximumDelay: Duration = .seconds(120)
    /// The lower bound of every delay. Default 100 ms.
    public var minimumDelay: Duration = .milliseconds(100)
    /// The lower bound of a delay after the credentials were refused or could not be had. Default 5 s.
    public var minimumAuthenticationDelay: Duration = .seconds(5)
    /// How long a connection must last before the delays start from ``baseDelay`` again. Default 30 s.
    public var resetAfter: Duration = .seconds(30)
    /// How many attempts after a failure all clients of a process that share it make per endpoint. Default: ``MQTTRetryBudget/shared``;
    /// `nil` for no limit.
    public var budget: MQTTRetryBudget? = .shared
    /// When to give up. Default: never.
    public var limit: Limit = .forever
    /// The seed of the jitter, for reproducible runs; random by default.
    public var seed: UInt64?
    /// Decides instead of the standard table; call ``Decision/standard(for:)`` for all but your special cases. It runs on
    /// the client's event loop: it must be quick and must not block.
    public var decide: @Sendable (MQTTFailure) -> Decision = { Decision.standard(for: $0) }

    public init() {}

    /// For production: never gives up on what can heal, stops on what cannot (such as a protocol version that the broker
    /// does not speak).
    public static let production = MQTTRetryPolicy()

    /// Never tries again.
    public static let none: MQTTRetryPolicy = {
        var policy = MQTTRetryPolicy()
        policy.decide = { _ in .stop }
        return policy
    }()

    /// Ends with the first failure until there has been a connection, and is ``production`` from then on.
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
