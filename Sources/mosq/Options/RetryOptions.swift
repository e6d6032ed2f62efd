import ArgumentParser
import Mosquitto

/// The flags that mosquitto's commands do not have.
struct RetryOptions: ParsableArguments {
    @Flag(help: "Keep trying, also when the first connection fails.")
    var retry = false

    @Option(name: .customLong("retry-limit"), help: "Give up after so many failed attempts in a row.")
    var limit: Int?

    @Option(name: .customLong("retry-base-delay"), help: "The upper bound of the first delay, in seconds.")
    var baseDelay = 1.0

    @Option(name: .customLong("retry-max-delay"), help: "The upper bound of every delay, in seconds.")
    var maximumDelay = 120.0

    @Option(name: .customLong("retry-reset-after"), help: "Connected seconds after which the delays start afresh.")
    var resetAfter = 30.0

    @Option(name: .customLong("retry-seed"), help: "The seed of the jitter, for reproducible runs.")
    var seed: UInt64?

    @Option(name: .customLong("connect-timeout"), help: "The limit of one attempt in seconds, name look-up to CONNACK.")
    var connectTimeout = 10.0

    @Option(
        name: .customLong("token-file"), help: "The password is this file's content, read anew for each connection.")
    var tokenFile: String?

    @Option(name: .customLong("token-refresh-at"), help: "Rotate the token at this fraction of its life.")
    var refreshAt = 0.8

    @Flag(help: "One JSON object a line on standard error for every connection event.")
    var events = false

    func apply(to configuration: inout MQTTClientConfiguration, username: String?, password: String?) throws {
        var policy = MQTTRetryPolicy()
        policy.baseDelay = .seconds(baseDelay)
        policy.maximumDelay = .seconds(max(maximumDelay, baseDelay))
        policy.minimumDelay = min(policy.minimumDelay, policy.maximumDelay)
        policy.minimumAuthenticationDelay = min(policy.minimumAuthenticationDelay, policy.maximumDelay)
        policy.resetAfter = .seconds(resetAfter)
        policy.seed = seed
        if let limit { policy.limit = .attempts(limit) }
        if !retry { policy.decide = Self.asMosquitto }
        configuration.retry = policy

        let limit = Duration.seconds(connectTimeout)
        configuration.timeouts.attempt = limit
        configuration.timeouts.resolve = limit
        configuration.timeouts.connect = limit
        configuration.timeouts.tlsHandshake = limit
        configuration.timeouts.connack = limit

        configuration.refreshCredentialsAt = refreshAt
        if let tokenFile {
            if password != nil { throw CommandFailure(message: "Error: -P and --token-file exclude each other.") }
            configuration.credentials = .file(tokenFile, username: username)
        } else if username != nil || password != nil {
            configuration.credentials = .static(username: username, password: password.map { MQTTSecret($0) })
        }
    }

    /// What mosquitto's commands do: the first failure ends them, and so do a refusal and a broker's DISCONNECT; a lost
    /// connection is made again.
    private static let asMosquitto: @Sendable (MQTTFailure) -> MQTTRetryPolicy.Decision = { failure in
        failure.isInitial || failure.error.reasonCode != nil ? .stop : .standard(for: failure)
    }
}
