// SPDX-License-Identifier: Apache-2.0

public import Configuration
public import Mosquitto

extension MQTTClientConfiguration {
    /// Creates a configuration from environment variables, a file, or any other source that
    /// [swift-configuration](https://github.com/apple/swift-configuration) reads. ``MosquittoConfiguration`` lists the
    /// keys.
    ///
    /// ```swift
    /// let config = ConfigReader(provider: EnvironmentVariablesProvider())
    /// // MQTT_HOST, MQTT_CLIENT_ID, MQTT_TLS_TRUST_FILES, …
    /// let configuration = try MQTTClientConfiguration(config: config.scoped(to: "mqtt"))
    /// ```
    ///
    /// A property keeps its default if no provider has its key. The values are read once. Set a property that is not a
    /// single value, such as your own credential provider, afterwards; `validate()` checks the whole configuration
    /// when the client starts.
    ///
    /// - Throws: `MQTTError.Code.invalidConfiguration` with the name of the key, if a value has the wrong type or is
    ///   not valid for the key. The error never contains a secret.
    public init(config: ConfigReader) throws(MQTTError) {
        let keys = KeyReader(config)
        let tls = try MQTTTLSConfiguration.configured(by: keys.scoped(to: "tls"))
        self.init(endpoints: try Self.endpoints(keys, isTLS: tls != nil), tls: tls)
        try readConnection(keys)
        try readCredentials(keys)
        try readSession(keys)
        try readLimits(keys)
        will = try MQTTWill.configured(by: keys.scoped(to: "will"))
        try retry.read(keys.scoped(to: "retry"))
        try timeouts.read(keys.scoped(to: "timeouts"))
        try readObservability(keys)
    }

    // MARK: Parts

    private static func endpoints(_ keys: KeyReader, isTLS: Bool) throws(MQTTError) -> [MQTTEndpoint] {
        let standard = isTLS ? 8_883 : 1_883
        let port = try keys.int("port")
        let host = try keys.string("host")
        // A URL may be signed.
        guard let texts = try keys.strings("endpoints", isSecret: true) else {
            guard let host else { throw keys.error("host", "is missing, and so is \(keys.name("endpoints"))") }
            return [MQTTEndpoint(host: host, port: port ?? standard)]
        }
        if host != nil || port != nil {
            throw keys.error("endpoints", "goes without \(keys.name("host")) and \(keys.name("port"))")
        }
        var endpoints: [MQTTEndpoint] = []
        for text in texts {
            guard let endpoint = MQTTEndpoint(text: text, standardPort: standard) else {
                throw keys.error(
                    "endpoints",
                    "has an entry that is none of host, host:port, [address]:port, unix:path, ws:// or wss:// URL")
            }
            endpoints.append(endpoint)
        }
        return endpoints
    }

    private mutating func readConnection(_ keys: KeyReader) throws(MQTTError) {
        if let value = try keys.string("clientID") { clientID = value }
        if let value = try keys.choice("version", ["5.0": MQTTVersion.v5_0, "3.1.1": .v3_1_1, "3.1": .v3_1]) {
            version = value
        }
        if let value = try keys.choice("endpointOrder", ["ordered": MQTTEndpointOrder.ordered, "shuffled": .shuffled]) {
            connection.endpointOrder = value
        }
        if let value = try keys.choice(
            "redirects", ["none": MQTTRedirectPolicy.none, "listed": .listed, "any": .any])
        {
            connection.redirects = value
        }
        if let value = try keys.seconds("keepAlive") { keepAlive = value }
        let limit = try keys.seconds("firstConnectionLimit")
        if let value = try keys.choice(
            "firstConnection", ["background": MQTTFirstConnection.background, "failFast": .failFast])
        {
            connection.firstConnection = value
        }
        if let limit {
            guard connection.firstConnection == .background else {
                throw keys.error("firstConnectionLimit", "goes without \(keys.name("firstConnection"))")
            }
            connection.firstConnection = .waitUntilConnected(within: limit)
        }
        if let value = try keys.strings("userProperties") {
            connect.userProperties = try keys.pairs("userProperties", value).map { MQTTUserProperty($0, $1) }
        }
        connect.responseTopic = try keys.string("responseTopic")
        connection.localAddress = try keys.string("localAddress")
        if let value = try keys.bool("retriesOnNetworkChange") { connection.retriesOnNetworkChange = value }
        connection.proxy = try MQTTProxy.configured(by: keys.scoped(to: "proxy"))
        try readWebSocket(keys.scoped(to: "webSocket"))
    }

    private mutating func readWebSocket(_ keys: KeyReader) throws(MQTTError) {
        webSocket.origin = try keys.string("origin")
        for entry in try keys.strings("headers", isSecret: true) ?? [] {
            // The error shows nothing of the entry, which may be a token.
            guard let equals = entry.firstIndex(of: "="), equals > entry.startIndex else {
                throw keys.error("headers", "has an entry that is not a name, \"=\" and a value")
            }
            webSocket.headers.append(
                MQTTWebSocketHeader(String(entry[..<equals]), MQTTSecret(entry[entry.index(after: equals)...])))
        }
    }

    private mutating func readCredentials(_ keys: KeyReader) throws(MQTTError) {
        let username = try keys.string("username")
        let password = try keys.secret("password")
        if let file = try keys.string("tokenFile") {
            if password != nil { throw keys.error("tokenFile", "goes without \(keys.name("password"))") }
            credentials = .file(file, username: username)
        } else if username != nil || password != nil {
            credentials = .static(username: username, password: password)
        }
        if let value = try keys.choice(
            "rotation",
            [
                "onNextConnect": MQTTRotation.onNextConnect, "reconnectNow": .reconnectNow,
                "reauthenticate": .reauthenticate,
            ])
        {
            rotation.method = value
        }
        if let value = try keys.double("refreshCredentialsAt") { rotation.refreshAt = value == 0 ? nil : value }
        if let value = try keys.double("refreshJitter") { rotation.jitter = value }
    }

    private mutating func readSession(_ keys: KeyReader) throws(MQTTError) {
        if let value = try keys.seconds("cleanSessionExpiry") { connect.cleanSessionExpiry = value }
        let expiry = try keys.seconds("sessionExpiry")
        guard let isPersistent = try keys.choice("session", ["clean": false, "persistent": true]) else {
            if expiry != nil { throw keys.error("sessionExpiry", "needs \(keys.name("session")) to be \"persistent\"") }
            return
        }
        if !isPersistent, expiry != nil {
            throw keys.error("sessionExpiry", "needs \(keys.name("session")) to be \"persistent\"")
        }
        session = isPersistent ? expiry.map { .persistent(expiry: $0) } ?? .persistent : .clean
    }

    private mutating func readLimits(_ keys: KeyReader) throws(MQTTError) {
        if let value = try keys.number("receiveMaximum", as: UInt16.self) { receiving.receiveMaximum = value }
        if let value = try keys.int("maximumInFlight") { publishing.maximumInFlight = value }
        if let value = try keys.int("maximumFiltersPerSubscribe") { receiving.maximumFiltersPerSubscribe = value }
        try publishing.queue.read(keys.scoped(to: "queue"))
        if let value = try keys.number("topicAliasMaximum", as: UInt16.self) { receiving.topicAliasMaximum = value }
        if let value = try keys.int("maximumPacketSize") { receiving.maximumPacketSize = value }
        if let value = try keys.choice(
            "acknowledgement", ["onReceipt": MQTTAcknowledgement.onReceipt, "afterHandling": .afterHandling])
        {
            acknowledgement = value
        }
        if let value = try keys.bool("requestsResponseInformation") { connect.requestsResponseInformation = value }
        if let value = try keys.bool("requestsProblemInformation") { connect.requestsProblemInformation = value }
    }

    private mutating func readObservability(_ keys: KeyReader) throws(MQTTError) {
        #if Metrics
        let metricKeys = keys.scoped(to: "metrics")
        if let value = try metricKeys.seconds("interval") { metrics?.interval = value }
        if let value = try metricKeys.strings("dimensions") {
            metrics?.dimensions = try metricKeys.pairs("dimensions", value)
        }
        if try metricKeys.bool("enabled") == false { metrics = nil }
        #endif
        #if Tracing
        let tracingKeys = keys.scoped(to: "tracing")
        if let value = try tracingKeys.bool("propagatesContext") { tracing?.propagatesContext = value }
        if try tracingKeys.bool("enabled") == false { tracing = nil }
        #endif
    }
}

extension KeyReader {
    /// Parses entries of the form "name=value".
    fileprivate func pairs(_ key: String, _ entries: [String]) throws(MQTTError) -> [(String, String)] {
        var pairs: [(String, String)] = []
        for entry in entries {
            guard let equals = entry.firstIndex(of: "="), equals > entry.startIndex else {
                throw error(key, "has the entry \"\(entry)\"; it must be a name, \"=\" and a value")
            }
            pairs.append((String(entry[..<equals]), String(entry[entry.index(after: equals)...])))
        }
        return pairs
    }
}

extension MQTTEndpoint {
    /// Parses "host", "host:port", "[address]", "[address]:port", "unix:" and a path, or a URL.
    fileprivate init?(text: String, standardPort: Int) {
        if text.contains("://") {
            do throws(MQTTError) { try self.init(url: text) } catch { return nil }
            return
        }
        if text.hasPrefix("unix:") {
            self = .unixSocket(String(text.dropFirst(5)))
            return
        }
        var host = text[...]
        var port = standardPort
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            guard let number = Int(text[text.index(after: colon)...]) else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.init(host: String(host), port: port)
    }
}
