/// Which endpoint is next: failover, the way back to the preferred one, and redirections. A value without clock or I/O.
struct EndpointSelector: Sendable {
    /// How many redirections are followed in a row.
    static let maximumHops = 3

    private let policy: MQTTRedirectPolicy
    private let configured: Set<MQTTEndpoint>
    private let listedHosts: Set<String>
    /// By preference.
    private var endpoints: [MQTTEndpoint]
    private var index = 0
    /// Where a broker has sent the client for the time being.
    private var temporary: MQTTEndpoint?
    /// Where the redirections under way have led through.
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

    /// How many are tried in turn.
    var count: Int { endpoints.count }

    /// An attempt has failed and is not repeated at once: the next one's turn, or back from where a broker had sent us.
    mutating func attemptFailed() {
        visited = []
        if temporary == nil { index = (index + 1) % endpoints.count } else { temporary = nil }
    }

    /// A connection has lasted: a redirection after it is the first of a row. Brokers that send a client in a circle, each
    /// accepting it first, must not do so at full speed.
    mutating func connectionLasted() { visited = [] }

    /// A connection has ended. `isStable`: it had lasted; the preferred endpoint is tried first again. One that goes away or
    /// did not hold is left alone.
    mutating func connectionLost(isStable: Bool, isGoingAway: Bool) {
        let wasTemporary = temporary != nil
        temporary = nil
        let lost = index
        if isStable { index = 0 }
        if isGoingAway || !isStable, !wasTemporary, index == lost { index = (index + 1) % endpoints.count }
    }

    /// Takes the first endpoint of a Server Reference that the policy allows. Returns it, or `nil` if there is none.
    /// `isPermanent`: it takes the place of the one that named it, which is kept as the last resort.
    mutating func follow(_ reference: String?, isPermanent: Bool) -> MQTTEndpoint? {
        guard policy != .none, let reference, visited.count < Self.maximumHops else { return nil }
        let from = current
        let target = Self.endpoints(of: reference, defaultPort: from.port).first { target in
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
        // What was configured stays; what a broker has named and another one has replaced does not pile up.
        if configured.contains(origin) { endpoints.append(origin) }
    }

    // MARK: Server Reference

    /// MQTT 5.0, section 4.11: names or addresses with or without a port, separated by spaces. What is none is left out.
    static func endpoints(of reference: String, defaultPort: Int) -> [MQTTEndpoint] {
        reference.split(separator: " ").compactMap { endpoint(of: $0, defaultPort: defaultPort) }
    }

    private static func endpoint(of text: Substring, defaultPort: Int) -> MQTTEndpoint? {
        var host = text
        var port = defaultPort
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
        let endpoint = MQTTEndpoint(host: String(host), port: port)
        do { try endpoint.validate() } catch { return nil }
        return endpoint
    }

    /// Names are the same whatever their case, with or without the dot of the root.
    private static func normalized(_ host: String) -> String { host.withoutRootDot.lowercased() }
}
