// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The flags that mosquitto's commands do not have.
struct RetryOptions: ParsableArguments {
    @Flag(help: "Keep trying, also when the first connection fails.")
    var retry = false

    @Option(
        name: .customLong("retry-limit"), parsing: .unconditional,
        help: "Give up after so many failed attempts, or suspected takeovers by another client, in a row.")
    var limit: Int?

    @Option(
        name: .customLong("retry-base-delay"), parsing: .unconditional,
        help: "The upper bound of the first delay in seconds. Default: 1.")
    var baseDelay: Double?

    @Option(
        name: .customLong("retry-max-delay"), parsing: .unconditional,
        help: "The upper bound of every delay in seconds. Default: 120.")
    var maximumDelay: Double?

    @Option(
        name: .customLong("retry-reset-after"), parsing: .unconditional,
        help: "Connected seconds after which the delays start afresh. Default: 30.")
    var resetAfter: Double?

    @Option(
        name: .customLong("retry-seed"), parsing: .unconditional, help: "The seed of the jitter, for reproducible runs."
    )
    var seed: UInt64?

    @Flag(
        name: .customLong("retry-on-network-change"),
        help: "Retry at once when a route or an address of this machine comes back (Linux).")
    var onNetworkChange = false

    @Option(
        name: .customLong("connect-timeout"), parsing: .unconditional,
        help: "The limit of one attempt in seconds, name look-up to CONNACK.")
    var connectTimeout = 10.0

    @Option(
        name: .customLong("endpoint"), parsing: .unconditionalSingleValue,
        help: "HOST:PORT of another broker of the cluster; they are tried in turn, -h first. May be repeated.")
    var endpoints: [String] = []

    @Option(
        name: .customLong("redirect"), parsing: .unconditional,
        help:
            "Follow a server reference: none, listed (only to a host given by -h or --endpoint) or any (needs TLS). Default: none."
    )
    var redirect: String?

    @Flag(help: "One JSON object a line on standard error for every connection event.")
    var events = false

    func apply(to configuration: inout MQTTClientConfiguration, _ behavior: CommandBehavior) throws {
        configuration.retry = retry ? try policy() : try policyWithoutRetry(behavior)

        let limit = try Self.seconds(connectTimeout, "--connect-timeout")
        configuration.timeouts.attempt = limit
        configuration.timeouts.resolve = limit
        configuration.timeouts.connect = limit
        configuration.timeouts.tlsHandshake = limit
        configuration.timeouts.upgrade = limit
        configuration.timeouts.connack = limit

        configuration.connection.retriesOnNetworkChange = onNetworkChange
        configuration.endpoints += try endpoints.map(Self.endpoint)
        if let redirect { configuration.connection.redirects = try Self.redirects(redirect) }
    }

    private func policy() throws -> MQTTRetryPolicy {
        var policy = MQTTRetryPolicy()
        if let baseDelay { policy.baseDelay = try Self.seconds(baseDelay, "--retry-base-delay") }
        if let maximumDelay {
            policy.maximumDelay = try Self.seconds(maximumDelay, "--retry-max-delay")
            // A bound that is not given follows the given one.
            if baseDelay == nil { policy.baseDelay = min(policy.baseDelay, policy.maximumDelay) }
        }
        if maximumDelay == nil { policy.maximumDelay = max(policy.maximumDelay, policy.baseDelay) }
        policy.minimumDelay = min(policy.minimumDelay, policy.maximumDelay)
        policy.minimumAuthenticationDelay = min(policy.minimumAuthenticationDelay, policy.maximumDelay)
        if let resetAfter {
            policy.resetAfter = resetAfter == 0 ? .zero : try Self.seconds(resetAfter, "--retry-reset-after")
        }
        policy.seed = seed
        if let limit {
            if limit < 1 { throw CommandFailure(message: "--retry-limit \(limit) is not at least 1.") }
            policy.limit = .attempts(limit)
        }
        return policy
    }

    private func policyWithoutRetry(_ behavior: CommandBehavior) throws -> MQTTRetryPolicy {
        let given = [
            ("--retry-limit", limit != nil), ("--retry-base-delay", baseDelay != nil),
            ("--retry-max-delay", maximumDelay != nil), ("--retry-reset-after", resetAfter != nil),
            ("--retry-seed", seed != nil), ("--retry-on-network-change", onNetworkChange),
        ]
        if let flag = given.first(where: \.1)?.0 { throw CommandFailure(message: "\(flag) needs --retry.") }
        return behavior.policy
    }

    private static func endpoint(_ text: String) throws -> MQTTEndpoint {
        let problem = CommandFailure(message: "--endpoint \(text) is not HOST:PORT; an IPv6 address goes in brackets.")
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else {
            throw problem
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw problem
        }
        return MQTTEndpoint(host: String(host), port: port)
    }

    private static func redirects(_ text: String) throws -> MQTTRedirectPolicy {
        switch text {
        case "none": return .none
        case "listed": return .listed
        case "any": return .any
        default: throw CommandFailure(message: "--redirect \(text) is none of none, listed and any.")
        }
    }

    /// A `Duration` traps on a value that is not finite or too large; ten years stand for no limit.
    static func seconds(_ value: Double, _ flag: String) throws -> Duration {
        guard value > 0, value <= 315_360_000 else {
            throw CommandFailure(message: "\(flag) \(value) is not a number of seconds above 0 and up to ten years.")
        }
        return .seconds(value)
    }
}

extension RetryOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        retry = words.flag("--retry")
        limit = words.number("--retry-limit")
        baseDelay = words.number("--retry-base-delay")
        maximumDelay = words.number("--retry-max-delay")
        resetAfter = words.number("--retry-reset-after")
        seed = words.number("--retry-seed")
        onNetworkChange = words.flag("--retry-on-network-change")
        connectTimeout = words.number("--connect-timeout") ?? 10
        endpoints = words.texts("--endpoint")
        redirect = words.text("--redirect")
        events = words.flag("--events")
    }
}
