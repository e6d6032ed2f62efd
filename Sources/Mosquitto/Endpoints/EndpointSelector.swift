// SPDX-License-Identifier: Apache-2.0

/// Selects the next endpoint: failover, return to the preferred endpoint, and redirections. A value without clock or
/// I/O.
struct EndpointSelector: Sendable {
    /// Number of redirections that are followed in a row.
    static let maximumHops = 3

    private let policy: MQTTRedirectPolicy
    private let configured: Set<MQTTEndpoint>
    private let listedHosts: Set<String>
    /// In order of preference.
    private var endpoints: [MQTTEndpoint]
    private var index = 0
    /// The target of a temporary redirection.
    private var temporary: MQTTEndpoint?
    /// The endpoints passed through by the current redirections.
    private var visited: [MQTTEndpoint] = []

    init(
        _ endpoints: [MQTTEndpoint], order: MQTTEndpointOrder, policy: MQTTRedirectPolicy,
        using generator: inout some RandomNumberGenerator
    ) {
        self.policy = policy
        configured = Set(endpoints)
        self.endpoints = order == .shuffled ? endpoints.shuffled(using: &generator) : endpoints
        listedHosts = Set(endpoints.filter { !$0.isUnixSocket }.map { Self.normalized($0.host) })
    }

    var current: MQTTEndpoint { temporary ?? endpoints[index] }

    /// Number of endpoints that are tried in turn.
    var count: Int { endpoints.count }

    /// Records a failed attempt that is not repeated at once: selects the next endpoint, or returns from a temporary
    /// redirection.
    mutating func attemptFailed() {
        visited = []
        if temporary == nil { index = (index + 1) % endpoints.count } else { temporary = nil }
    }

    /// Records that a connection lasted, so that the next redirection starts a new series. A short connection does not:
    /// brokers that accept a client and then redirect it in a circle would otherwise keep it reconnecting at full
    /// speed.
    mutating func connectionLasted() { visited = [] }

    /// Records the end of a connection. After one that lasted (`isStable`), the preferred endpoint is tried first
    /// again. An endpoint that is shutting down (`isGoingAway`), or whose connection did not last, is skipped.
    mutating func connectionLost(isStable: Bool, isGoingAway: Bool) {
        let wasTemporary = temporary != nil
        temporary = nil
        let lost = index
        if isStable { index = 0 }
        if isGoingAway || !isStable, !wasTemporary, index == lost { index = (index + 1) % endpoints.count }
    }

    /// Selects and returns the first endpoint of a Server Reference that the policy allows, or returns `nil` if there
    /// is none. A permanent target replaces the endpoint that named it, which remains as the last resort.
    mutating func follow(_ reference: String?, isPermanent: Bool) -> MQTTEndpoint? {
        guard let reference else { return nil }
        return follow(current.endpoints(of: reference), isPermanent: isPermanent)
    }

    /// Selects and returns the target of a redirection by an HTTP server, which may name another path or query of the
    /// same host, or returns `nil` if the policy does not allow it.
    mutating func follow(location: String, isPermanent: Bool) -> MQTTEndpoint? {
        follow(current.target(of: location).map { [$0] } ?? [], isPermanent: isPermanent)
    }

    private mutating func follow(_ targets: [MQTTEndpoint], isPermanent: Bool) -> MQTTEndpoint? {
        guard policy != .none, visited.count < Self.maximumHops else { return nil }
        let from = current
        let target = targets.first { target in
            target != from && !visited.contains(target)
                && (policy == .any || listedHosts.contains(Self.normalized(target.host)))
        }
        guard let target else { return nil }
        visited.append(from)
        if isPermanent, temporary == nil {
            move(to: target)
        } else {
            temporary = target
        }
        return target
    }

    private mutating func move(to target: MQTTEndpoint) {
        let origin = endpoints[index]
        endpoints.removeAll { $0 == target }
        index = endpoints.firstIndex(of: origin) ?? 0
        endpoints[index] = target
        // Configured endpoints stay; an endpoint named by a broker is discarded when another one replaces it.
        if configured.contains(origin) { endpoints.append(origin) }
    }

    /// Names are compared without case and without the dot of the root.
    private static func normalized(_ host: String) -> String { host.withoutRootDot.lowercased() }
}

extension MQTTEndpoint {
    /// Returns the endpoints of a Server Reference that a broker at this endpoint has sent: names or addresses, with or
    /// without a port and separated by spaces (MQTT 5.0, section 4.11). Invalid entries are skipped.
    ///
    /// A reference names no transport: a client that speaks WebSockets keeps to them, and to its path. The query, which
    /// may be signed for this host, is kept only on the same host.
    func endpoints(of reference: String) -> [MQTTEndpoint] {
        reference.split(separator: " ").compactMap { endpoint(of: $0) }
    }

    private func endpoint(of text: Substring) -> MQTTEndpoint? {
        var host = text
        var port = self.port
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.hasPrefix(":"), let number = Int(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = text.lastIndex(of: ":"), text.firstIndex(of: ":") == colon {
            guard let number = Int(text[text.index(after: colon)...]) else { return nil }
            host = text[..<colon]
            port = number
        }
        let kept = webSocket.map {
            WebSocket(isSecure: $0.isSecure, path: $0.path, query: host == self.host ? $0.query : nil)
        }
        let endpoint = MQTTEndpoint(host: String(host), port: port, kept)
        do { try endpoint.validate() } catch { return nil }
        return endpoint
    }
}
