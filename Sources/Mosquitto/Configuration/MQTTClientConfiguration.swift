/// The configuration of a client. ``validate()`` checks every value when the client starts, before any I/O.
public struct MQTTClientConfiguration: Sendable {
    /// The endpoints of the broker, or of the brokers of a cluster, tried in turn. At least one.
    ///
    /// The client moves to the next endpoint after a failed attempt, and after a connection that the broker ended to
    /// shut down or that did not last ``MQTTRetryPolicy/resetAfter``. After any other loss it returns to the first
    /// endpoint, which is preferred.
    public var endpoints: [MQTTEndpoint]
    /// The order in which ``endpoints`` are tried. Default ``MQTTEndpointOrder/ordered``.
    public var endpointOrder: MQTTEndpointOrder = .ordered
    /// The policy for redirections by a broker. Default ``MQTTRedirectPolicy/none``.
    public var redirects: MQTTRedirectPolicy = .none
    /// The handling of the first connection. Default ``MQTTFirstConnection/background``.
    public var firstConnection: MQTTFirstConnection = .background
    /// The local IPv4 or IPv6 address to connect from. Default `nil`: the system chooses. Broker addresses of the other
    /// family are then unreachable. Not for Unix sockets.
    public var localAddress: String?
    /// The SOCKS proxy to connect through; `nil`, the default, for a direct connection. Not for Unix sockets.
    public var proxy: MQTTProxy?
    /// TLS, or `nil` for plain TCP. ``init(host:port:tls:)`` sets it.
    public var tls: MQTTTLSConfiguration?
    /// The protocol version. Default 5.0.
    public var version: MQTTVersion = .v5_0
    /// The client identifier, 1 to 65,535 bytes. Default `nil`: each ``MQTTClient`` generates "swift-" and 16
    /// hexadecimal digits, and shows them in its ``MQTTClient/configuration``. Two clients with the same identifier
    /// take the session from each other. A ``MQTTSession/persistent(expiry:)`` session needs a stable identifier.
    public var clientID: String? { didSet { isClientIDDrawn = false } }
    /// True if a client generated ``clientID``, false if the caller set it.
    private var isClientIDDrawn = false
    /// The provider of the user name and password for each CONNECT; `nil` for none.
    public var credentials: (any MQTTCredentialProvider)?
    /// The enhanced authentication (MQTT 5.0, section 4.12), over TLS only; `nil` for user name and password alone.
    public var authenticator: (any MQTTAuthenticator)?
    /// The way in which new credentials replace those of an established connection. Default
    /// ``MQTTRotation/reconnectNow``.
    public var rotation: MQTTRotation = .reconnectNow
    /// The fraction of a token's lifetime after which it is rotated, above 0 and below 1; `nil` for no rotation while
    /// connected. Default 0.8.
    public var refreshCredentialsAt: Double? = 0.8
    /// The fraction of a token's lifetime over which rotations are spread, 0 to 0.5. Default 0.1.
    public var refreshJitter = 0.1
    /// The session that the broker keeps between connections. Default ``MQTTSession/clean``.
    public var session: MQTTSession = .clean
    /// The time for which the broker keeps the session of a ``MQTTSession/clean`` client after its connection, for a
    /// later client with the same identifier; whole seconds up to 4,294,967,295. MQTT 5.0 only. Default zero: the
    /// session ends with the connection. This client never resumes the session.
    public var cleanSessionExpiry: Duration = .zero
    /// The keep-alive interval, the longest time without a packet, in whole seconds: zero for no keep-alive, else 5 s
    /// to 65,535 s (a limit of libmosquitto). Default 60 s.
    public var keepAlive: Duration = .seconds(60)
    /// The will.
    public var will: MQTTWill?
    /// Maximum number of unacknowledged QoS 1 and 2 messages from the broker, 1 to 65,535; MQTT 5.0 only. Default
    /// 65,535.
    public var receiveMaximum: UInt16 = 65_535
    /// True to give overlapping subscriptions Subscription Identifiers (MQTT 5.0, section 3.8.2.1.2). With them each
    /// consumer receives a message once, even if the broker sends a copy for each matching subscription, as mosquitto
    /// does.
    ///
    /// Default `nil`: only in clean sessions, since in a persistent session the identifiers of an earlier process may
    /// still be assigned to other filters. Set `true` if no other process uses the session.
    public var usesSubscriptionIdentifiers: Bool?
    /// The point at which received messages are acknowledged. Default ``MQTTAcknowledgement/onReceipt``.
    public var acknowledgement: MQTTAcknowledgement = .onReceipt
    /// Maximum number of QoS 1 and 2 publishes in flight, 1 to 65,535, lowered to the broker's Receive Maximum. Default
    /// 100; with MQTT 3.1.1 at most 20 of QoS 2: this is mosquitto's own limit, which MQTT 3.1.1 cannot announce.
    public var maximumInFlight = 100
    /// Maximum number of filters in a SUBSCRIBE or UNSUBSCRIBE, at least 1. More filters are split into several
    /// packets, also when subscriptions are restored after a reconnect. Default 8, the limit of some brokers, such as
    /// AWS IoT Core. The client halves the number, down to 1, each time a broker closes the connection within a second
    /// after a packet with several filters.
    public var maximumFiltersPerSubscribe = 8
    /// The limits of the queue of outgoing messages, and its behaviour when it is full.
    public var queue = MQTTQueuePolicy()
    /// Size in bytes of the largest packet accepted from the broker; a larger one ends the connection before memory is
    /// allocated for it. Default 268,435,460, the protocol's own limit.
    public var maximumPacketSize = 268_435_460
    /// True to request ``MQTTConnackProperties/responseInformation`` from the broker (MQTT 5.0, section 3.1.2.11.6).
    /// Default `false`.
    public var requestsResponseInformation = false
    /// True to let the broker send Reason Strings and User Properties with its failures (MQTT 5.0, section 3.1.2.11.7).
    /// Default `true`.
    public var requestsProblemInformation = true
    /// User properties of CONNECT; MQTT 5.0 only.
    public var userProperties: [MQTTUserProperty] = []
    /// The topic for responses to ``MQTTClient/request(_:to:qos:properties:timeout:)``; no other client may use it.
    /// Default `nil`: "responses/" and the client identifier.
    public var responseTopic: String?
    /// The policy for retries after a failed connection.
    public var retry: MQTTRetryPolicy = .production
    /// Deadlines.
    public var timeouts = MQTTTimeouts()
    /// The metrics that the client reports; `nil` for none.
    public var metrics: MQTTMetricsConfiguration? = MQTTMetricsConfiguration()
    /// The spans of the client, and the trace context of its messages; `nil` for none.
    public var tracing: MQTTTracing? = MQTTTracing()

    /// Creates a configuration for the broker at `host`. The default port is 8883 with TLS and 1883 without. TLS with
    /// the system's trust is the default; `tls: nil` is plain TCP.
    public init(host: String, port: Int? = nil, tls: MQTTTLSConfiguration? = MQTTTLSConfiguration()) {
        self.init(endpoints: [MQTTEndpoint(host: host, port: port ?? (tls == nil ? 1883 : 8883))], tls: tls)
    }

    /// Creates a configuration for the brokers at `endpoints`. TLS with the system's trust is the default; `tls: nil`
    /// is without TLS.
    public init(endpoints: [MQTTEndpoint], tls: MQTTTLSConfiguration? = MQTTTLSConfiguration()) {
        self.endpoints = endpoints
        self.tls = tls
    }

    /// Returns the configuration with a client identifier, generated if none is set.
    func drawingClientID() -> MQTTClientConfiguration {
        guard clientID == nil else { return self }
        var drawn = self
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        drawn.clientID = "swift-" + String(repeating: "0", count: 16 - digits.count) + digits
        drawn.isClientIDDrawn = true
        return drawn
    }

    /// The client identifier of a running client, which always has one.
    var effectiveClientID: String { clientID ?? "" }

    var effectiveResponseTopic: String { responseTopic ?? "responses/" + effectiveClientID }

    /// True if a message is acknowledged as soon as a consumer has received it. Without a consumer the client holds the
    /// message, and the broker keeps it for the next one.
    var acknowledgesOnDelivery: Bool { acknowledgement == .onReceipt && session != .clean }

    /// Throws an ``MQTTError`` that names the invalid value and the remedy, but never a secret.
    public func validate() throws(MQTTError) {
        try validateEndpoints()
        try tls?.validate()
        try timeouts.validate()
        try retry.validate()
        try will?.validate()
        try metrics?.validate()
        if let responseTopic { try MQTTTopic(responseTopic).validate() }
        try validateClientID()
        let seconds = keepAlive.components.seconds
        if keepAlive != .zero, !(5...65_535).contains(seconds) || keepAlive != .seconds(seconds) {
            throw .invalid(
                .invalidConfiguration, "keepAlive is \(keepAlive); it must be zero or whole seconds from 5 to 65535")
        }
        if let fraction = refreshCredentialsAt, !(fraction > 0 && fraction < 1) {
            throw .invalid(.invalidConfiguration, "refreshCredentialsAt is \(fraction); it must be above 0 and below 1")
        }
        if !(0...0.5).contains(refreshJitter) {
            throw .invalid(.invalidConfiguration, "refreshJitter is \(refreshJitter); it must be from 0 to 0.5")
        }
        try validateAuthentication()
        if receiveMaximum == 0 { throw .invalid(.invalidConfiguration, "receiveMaximum is 0; it must be at least 1") }
        if !(1...65_535).contains(maximumInFlight) {
            throw .invalid(.invalidConfiguration, "maximumInFlight is \(maximumInFlight); it must be from 1 to 65535")
        }
        if maximumFiltersPerSubscribe < 1 {
            throw .invalid(
                .invalidConfiguration,
                "maximumFiltersPerSubscribe is \(maximumFiltersPerSubscribe); it must be at least 1")
        }
        try queue.validate()
        if !(128...268_435_460).contains(maximumPacketSize) {
            throw .invalid(
                .invalidConfiguration, "maximumPacketSize is \(maximumPacketSize); it must be from 128 to 268435460")
        }
        if case .persistent(let expiry) = session, expiry < .seconds(1) || expiry > .seconds(UInt32.max) {
            throw .invalid(.invalidConfiguration, "session expiry is \(expiry); it must be from 1 s to 4294967295 s")
        }
        if cleanSessionExpiry != .zero {
            try validateCleanSessionExpiry()
        }
        if session != .clean, clientID == nil || isClientIDDrawn {
            throw .invalid(
                .invalidConfiguration,
                "a persistent session needs a clientID of yours: with a random one nobody finds the session again")
        }
        try proxy?.validate()
        if let localAddress, HostAddresses.numeric(localAddress) == nil {
            throw .invalid(
                .invalidConfiguration, "localAddress \(quoted(localAddress)) is not an IPv4 or IPv6 address")
        }
        try Mosquitto.validate(userProperties)
        if version == .v3_1_1,
            !userProperties.isEmpty || requestsResponseInformation || !requestsProblemInformation
                || will.map({ !$0.properties.isEmpty || $0.delayInterval > 0 }) == true
        {
            throw .invalid(.unsupported, "properties need MQTT 5.0; set version to .v5_0 or leave them out")
        }
    }

    private func validateClientID() throws(MQTTError) {
        guard let clientID else { return }
        if clientID.isEmpty {
            throw .invalid(.invalidConfiguration, "clientID is empty; leave the default or give a name")
        }
        if clientID.utf8.count > 65_535 {
            throw .invalid(
                .invalidConfiguration, "clientID has \(clientID.utf8.count) bytes; at most 65535 are allowed")
        }
        if let reason = unsendable(clientID) {
            throw .invalid(.invalidConfiguration, "clientID \(quoted(clientID)) has \(reason)")
        }
    }

    private func validateCleanSessionExpiry() throws(MQTTError) {
        if session != .clean {
            throw .invalid(
                .invalidConfiguration, "cleanSessionExpiry is for a clean session; a persistent one has its own expiry")
        }
        if cleanSessionExpiry < .seconds(1) || cleanSessionExpiry > .seconds(UInt32.max) {
            throw .invalid(
                .invalidConfiguration,
                "cleanSessionExpiry is \(cleanSessionExpiry); it must be zero, or from 1 s to 4294967295 s")
        }
        if version == .v3_1_1 {
            throw .invalid(.unsupported, "cleanSessionExpiry needs MQTT 5.0; set version to .v5_0 or leave it out")
        }
    }

    private func validateAuthentication() throws(MQTTError) {
        guard let authenticator else {
            if rotation == .reauthenticate {
                throw .invalid(.invalidConfiguration, "rotation .reauthenticate needs an authenticator")
            }
            return
        }
        if version != .v5_0 || tls == nil {
            throw .invalid(
                .unsupported, "an authenticator needs MQTT 5.0 and TLS; leave it out, or set version and tls")
        }
        try validateString(authenticator.method, "authentication method")
        if authenticator.method.isEmpty {
            throw .invalid(
                .invalidConfiguration, "the authentication method is empty; it is what the broker's manual says")
        }
    }

    private func validateEndpoints() throws(MQTTError) {
        if endpoints.isEmpty { throw .invalid(.invalidConfiguration, "endpoints is empty; give at least one") }
        for endpoint in endpoints {
            try endpoint.validate()
            if endpoint.isUnixSocket, let tls, tls.serverName == nil {
                throw .invalid(
                    .invalidConfiguration,
                    "\(endpoint) has no host name for TLS to check; set tls.serverName, or tls to nil")
            }
        }
        if Set(endpoints).count < endpoints.count {
            throw .invalid(.invalidConfiguration, "endpoints has the same one twice")
        }
        if redirects == .any, tls == nil {
            throw .invalid(
                .invalidConfiguration,
                "redirects .any without TLS would show the credentials to anyone; use TLS, or .listed")
        }
        if case .waitUntilConnected(let limit) = firstConnection, limit <= .zero {
            throw .invalid(
                .invalidConfiguration,
                "firstConnection has a limit of \(limit); it must be above zero, or use .failFast")
        }
    }
}
