// SPDX-License-Identifier: Apache-2.0

/// The requirements that a client must meet to be ready, for a readiness probe.
///
/// A readiness probe that fails takes its pod out of a Service; it restarts nothing. **A liveness probe must not use
/// it**: a broker that is away would then restart all its clients. See ``MQTTClient/isResponsive(within:)``.
///
/// | preset | connection | token | queue |
/// | --- | --- | --- | --- |
/// | ``connected`` | now | not expired | any |
/// | ``briefOutages`` | once, and not without one for more than 60 s | not expired | at most 80 % full |
/// | ``accepting`` | none needed | any | at most 80 % full |
public struct MQTTReadinessPolicy: Sendable, Hashable {
    /// The longest time without a connection. Zero: the client must be connected now, which it is not during the gap of
    /// a rotation. Unless this is `nil`, a client that has never connected is not ready. `nil` for any time.
    public var maximumOutage: Duration?
    /// True if the token must not have expired. A client with a rotation of ``MQTTRotation/onNextConnect``, or with a
    /// ``MQTTRotationPolicy/refreshAt`` of `nil`, keeps connections whose tokens have expired.
    public var requiresValidToken: Bool
    /// The largest fraction of the queue that may be in use, above 0; see ``MQTTClientHealth/queueFill``. `nil` for
    /// any.
    public var maximumQueueFill: Double?
    /// The greatest age of the oldest message in the queue; see ``MQTTClientHealth/oldestQueued``. `nil` for any.
    public var maximumQueueAge: Duration?

    /// Creates a policy without requirements but those given: only a client that has not started, or has stopped, is
    /// not ready.
    public init(
        maximumOutage: Duration? = nil, requiresValidToken: Bool = false, maximumQueueFill: Double? = nil,
        maximumQueueAge: Duration? = nil
    ) {
        self.maximumOutage = maximumOutage
        self.requiresValidToken = requiresValidToken
        self.maximumQueueFill = maximumQueueFill
        self.maximumQueueAge = maximumQueueAge
    }

    /// Connected now, with a token that has not expired: for a service that needs the broker to answer its callers.
    public static let connected = MQTTReadinessPolicy(maximumOutage: .zero, requiresValidToken: true)

    /// Connected, or without a connection for at most 60 s, with a token that has not expired and a queue that is at
    /// most 80 % full: for a service that bridges a broker's restart.
    public static let briefOutages = MQTTReadinessPolicy(
        maximumOutage: .seconds(60), requiresValidToken: true, maximumQueueFill: 0.8)

    /// A queue that is at most 80 % full, with or without a connection: for a service whose messages may wait.
    public static let accepting = MQTTReadinessPolicy(maximumQueueFill: 0.8)

    /// A requirement that is not met.
    public enum Obstacle: Sendable, Hashable {
        /// The client does not run yet.
        case notStarted
        /// The client has stopped for good.
        case stopped
        /// The client has not connected since its start, which was so long ago.
        case neverConnected(Duration)
        /// There has been no connection for so long.
        case outage(Duration)
        /// The token expired so long ago.
        case tokenExpired(Duration)
        /// This fraction of the queue is in use.
        case queueFull(Double)
        /// The oldest message in the queue has waited for so long.
        case queueStuck(Duration)
    }

    /// The facts that decide about readiness.
    package struct Facts: Sendable {
        package enum Phase: Sendable { case idle, running, stopped }

        package var phase: Phase
        package var outage: Duration?
        package var hasConnected: Bool
        package var tokenExpiresIn: Duration?
        package var queueFill: Double
        package var oldestQueued: Duration?

        package init(
            phase: Phase, outage: Duration?, hasConnected: Bool, tokenExpiresIn: Duration?, queueFill: Double,
            oldestQueued: Duration?
        ) {
            self.phase = phase
            self.outage = outage
            self.hasConnected = hasConnected
            self.tokenExpiresIn = tokenExpiresIn
            self.queueFill = queueFill
            self.oldestQueued = oldestQueued
        }
    }

    package func obstacle(to facts: Facts) -> Obstacle? {
        switch facts.phase {
        case .idle: return .notStarted
        case .stopped: return .stopped
        case .running: break
        }
        if let maximumOutage, let outage = facts.outage {
            if !facts.hasConnected { return .neverConnected(outage) }
            if maximumOutage <= .zero || outage > maximumOutage { return .outage(outage) }
        }
        if requiresValidToken, let left = facts.tokenExpiresIn, left <= .zero { return .tokenExpired(.zero - left) }
        if let maximumQueueFill, facts.queueFill > maximumQueueFill { return .queueFull(facts.queueFill) }
        if let maximumQueueAge, let age = facts.oldestQueued, age > maximumQueueAge { return .queueStuck(age) }
        return nil
    }
}

extension MQTTReadinessPolicy.Obstacle: CustomStringConvertible {
    /// One line for people.
    public var description: String {
        switch self {
        case .notStarted: "the client does not run yet"
        case .stopped: "the client has stopped"
        case .neverConnected(let time): "not connected yet, \(time.inMilliseconds) after the start"
        case .outage(let time): "no connection for \(time.inMilliseconds)"
        case .tokenExpired(let time): "the token expired \(time.inMilliseconds) ago"
        case .queueFull(let fill): "\(Int(min(fill * 100, 1e9).rounded(.up))) % of the queue is in use"
        case .queueStuck(let age): "the oldest message has waited for \(age.inMilliseconds)"
        }
    }
}
