/// All that a client needs to know. Every value is checked by ``validate()`` when the client starts, before any I/O.
public struct MQTTClientConfiguration: Sendable {
    /// Where the broker listens; the brokers of a cluster, tried in turn. At least one.
    ///
    /// The next one's turn comes after a failed attempt, and after a connection that the broker ended to shut down or that
    /// did not last ``MQTTRetryPolicy/resetAfter``. After any other loss the first one, which is preferred, comes first again.
    public var endpoints: [MQTTEndpoint]
    /// Whether ``endpoints`` are tried as they are given. Default ``MQTTEndpointOrder/ordered``.
    public var endpointOrder: MQTTEndpointOrder = .ordered
    /// Whether the client goes where a broker sends it. Default ``MQTTRedirectPolicy/none``.
    public var redirects: MQTTRedirectPolicy = .none
    /// What becomes of the first connection. Default ``MQTTFirstConnection/background``.
    public var firstConnection: MQTTFirstConnection = .background
    /// The IPv4 or IPv6 address of this machine to connect from; `nil`, the default, for what the system chooses. Addresses of the
    /// broker of the other family cannot be reached then. Not for Unix sockets.
    public var localAddress: String?
    /// The SOCKS proxy to connect through; `nil`, the default, for a direct connection. Not for Unix sockets.
    public var proxy: MQTTProxy?
    /// TLS, or `nil` for plain TCP. ``init(host:port:tls:)`` sets it.
    public var tls: TLSConfiguration?
    /// The protocol version. Default 5.0.
    public var version: MQTTVersion = .v5_0
    /// The client identifier, 1 to 65,535 bytes. `nil`, the default, is for "swift-" and 16 hexadecimal digits, which each
    /// ``MQTTClient`` draws for itself: its own ``MQTTClient/configuration`` has them. Two clients with the same identifier take the
    /// session from each other. A ``MQTTSession/persistent(expiry:)`` session needs one that stays the same.
    public var clientID: String? { didSet { isClientIDDrawn = false } }
    /// True if a client has drawn ``clientID``, false if the caller has set it.
    private var isClientIDDrawn = false
    /// Who gives the user name and password of each CONNECT; `nil` for none.
    public var credentials: (any MQTTCredentialProvider)?
    /// Enhanced authentication (MQTT 5.0, section 4.12), over TLS only; `nil` for user name and password alone.
    public var authenticator: (any MQTTAuthenticator)?
    /// How new credentials replace those of a connection that is up. Default ``MQTTRotation/reconnectNow``.
    public var rotation: MQTTRotation = .reconnectNow
    /// The fraction of a token's life after which it is rotated, above 0 and below 1; `nil` for no rotation while connected.
    /// Default 0.8.
    public var refreshCredentialsAt: Double? = 0.8
    /// The part of a token's life over which rotations are spread, 0 to 0.5. Default 0.1.
    public var refreshJitter = 0.1
    /// What the broker keeps between connections. Default ``MQTTSession/clean``.
    public var session: MQTTSession = .clean
    /// How long the broker keeps the session that a ``MQTTSession/clean`` client leaves behind, for a later one of the same client
    /// identifier; whole seconds up to 4,294,967,295. MQTT 5.0 only. Default zero: it ends with the connection. This client never
    /// resumes it.
    public var cleanSessionExpiry: Duration = .zero
    /// The longest time without a packet, in whole seconds: zero for no keep-alive, else 5 s to 65,535 s (a limit of
    /// libmosquitto). Default 60 s.
    public var keepAlive: Duration = .seconds(60)
    /// The will.
    public var will: MQTTWill?
    /// How many QoS 1 and 2 messages the broker may send before it has an acknowledgement, 1 to 65,535; MQTT 5.0 only. Default 65,535.
    public var receiveMaximum: UInt16 = 65_535
    /// Whether subscriptions that overlap get Subscription Identifiers (MQTT 5.0, section 3.8.2.1.2), by which each consumer gets a
    /// message once from a broker that sends a copy for each of them, as mosquitto does.
    ///
    /// `nil`, the default, is for clean sessions only: in a persistent session the identifiers that an earlier process has given may
    /// still be in use, for other filters. `true` is for sessions of which this process is the only one.
    public var usesSubscriptionIdentifiers: Bool?
    /// When received messages are acknowledged. Default ``MQTTAcknowledgement/onReceipt``.
    public var acknowledgement: MQTTAcknowledgement = .onReceipt
    /// How many QoS 1 and 2 publishes are in flight at most, 1 to 65,535; the broker's Receive Maximum lowers it. Default 100;
    /// with MQTT 3.1.1, of QoS 2 at most 20, mosquitto's own limit, of which a broker of that version cannot tell.
    public var maximumInFlight = 100
    /// The largest number of filters in a SUBSCRIBE or UNSUBSCRIBE, at least 1. More filters go in several packets, also when
    /// subscriptions are restored after a reconnect. Default 8, the limit of some brokers, such as AWS IoT Core. The client halves
    /// the number, down to 1, each time a broker closes within a second after a packet of several filters.
    public var maximumFiltersPerSubscribe = 8
    /// How much may wait to be published, and what happens when it is too much.
    public var queue = MQTTQueuePolicy()
    /// The largest packet in bytes that is accepted from the broker; a larger one ends the connection before it is
    /// allocated. Default 268,435,460, the protocol's own limit.
    public var maximumPacketSize = 268_435_460
    /// Whether the broker is asked for ``MQTTConnackProperties/responseInformation`` (MQTT 5.0, section 3.1.2.11.6). Default no.
    public var requestsResponseInformation = false
    /// Whether the broker may send Reason Strings and User Properties with its failures (MQTT 5.0, section 3.1.2.11.7). Default yes.
    public var requestsProblemInformation = true
    /// User properties of CONNECT; MQTT 5.0 only.
    public var userProperties: [MQTTUserProperty] = []
    /// Where responses to ``MQTTClient/request(_:to:qos:properties:timeout:)`` are sent to; no other client may use it. `nil`, the
    /// default, for "responses/" and the client identifier.
    public var responseTopic: String?
    /// When and how often a failed connection is tried again.
    public var retry: MQTTRetryPolicy = .production
    /// Deadlines.
    public var timeouts = MQTTTimeouts()
    /// What is told to the metrics system; `nil` for nothing.
    public var metrics: MQTTMetricsConfiguration? = MQTTMetricsConfiguration()
    /// Spans, and the trace context of messages; `nil` for none.
    public var tracing: MQTTTracing? = MQTTTracing()

    /// A client of the broker at `host`. The default port is 8883 with TLS and 1883 without. TLS with the system's trust
    /// is the default; `tls: nil` is plain TCP.
    public init(host: String, port: Int? = nil, tls: TLSConfiguration? = TLSConfiguration()) {
        self.init(endpoints: [MQTTEndpoint(host: host, port: port ?? (tls == nil ? 1883 : 8883))], tls: tls)
    }

    /// A client of the brokers at `endpoints`. TLS with the system's trust is the default; `tls: nil` is without TLS.
    public init(endpoints: [MQTTEndpoint], tls: TLSConfiguration? = TLSConfiguration()) {
        self.endpoints = endpoints
        self.tls = tls
    }

    /// The same, with a client identifier for one client.
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

    /// True if a message is acknowledged as soon as a consumer has it; without a consumer the client holds it, and the broker keeps
    /// it for the next one.
    var acknowledgesOnDelivery: Bool { acknowledgement == .onReceipt && session != .clean }

    /// Throws ``MQTTError`` with the offending value and what to do, never a secret.
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
        if let localAddress, Resolver.numeric(localAddress) == nil {
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
