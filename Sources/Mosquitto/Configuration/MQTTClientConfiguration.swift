// SPDX-License-Identifier: Apache-2.0

/// The configuration of a client. ``validate()`` checks every value when the client starts, before any I/O.
public struct MQTTClientConfiguration: Sendable {
    /// The endpoints of the broker, or of the brokers of a cluster, tried in turn. At least one.
    ///
    /// The client moves to the next endpoint after a failed attempt, and after a connection that the broker ended to
    /// shut down or that did not last ``MQTTRetryPolicy/resetAfter``. After any other loss it returns to the first
    /// endpoint, which is preferred.
    public var endpoints: [MQTTEndpoint]
    /// The way to the endpoints: their order, redirections, the first connection, the local address and a proxy.
    public var connection = MQTTConnectionOptions()
    /// The request that opens a WebSocket, for endpoints with one.
    public var webSocket = MQTTWebSocketOptions()
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
    /// The replacement of credentials before they expire.
    public var rotation = MQTTRotationPolicy()
    /// The session that the broker keeps between connections. Default ``MQTTSession/clean``.
    public var session: MQTTSession = .clean
    /// The keep-alive interval, the longest time without a packet, in whole seconds: zero for no keep-alive, else 5 s
    /// to 65,535 s (a limit of libmosquitto). Default 60 s.
    public var keepAlive: Duration = .seconds(60)
    /// The will.
    public var will: MQTTWill?
    /// The point at which received messages are acknowledged. Default ``MQTTAcknowledgement/onReceipt``.
    public var acknowledgement: MQTTAcknowledgement = .onReceipt
    /// The limits of publishes in flight, and of the queue of those that wait.
    public var publishing = MQTTPublishingLimits()
    /// The limits of subscriptions, and of the packets that the broker may send.
    public var receiving = MQTTReceivingLimits()
    /// The requests that CONNECT makes of the broker, and the topic for responses.
    public var connect = MQTTConnectRequests()
    /// The policy for retries after a failed connection.
    public var retry: MQTTRetryPolicy = .production
    /// Deadlines.
    public var timeouts = MQTTTimeouts()
    /// The limits of the platform, which its profile sets; `nil` for any broker.
    public var platformLimits: MQTTPlatformLimits? {
        get { platform?.limits }
        set { platform = newValue.map { MQTTPlatform($0) } }
    }
    var platform: MQTTPlatform?
    #if Metrics
    /// The metrics that the client reports; `nil` for none.
    public var metrics: MQTTMetricsConfiguration? = MQTTMetricsConfiguration()
    #endif
    #if Tracing
    /// The spans of the client, and the trace context of its messages; `nil` for none.
    public var tracing: MQTTTracing? = MQTTTracing()
    #endif

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

    /// Creates a configuration for the broker at a WebSocket URL.
    ///
    /// - Parameters:
    ///   - url: `wss://host[:port][/path][?query]`, or `ws://…` without TLS; see ``MQTTEndpoint/init(url:)``.
    ///   - tls: the configuration of TLS for `wss:`. Default: the system's trust.
    /// - Throws: ``MQTTError/Code/invalidConfiguration``. The error shows nothing of the URL, which may be signed.
    public init(url: String, tls: MQTTTLSConfiguration = MQTTTLSConfiguration()) throws(MQTTError) {
        let endpoint = try MQTTEndpoint(url: url)
        self.init(endpoints: [endpoint], tls: endpoint.webSocket?.isSecure == true ? tls : nil)
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

    var effectiveResponseTopic: String { connect.responseTopic ?? "responses/" + effectiveClientID }

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
        #if Metrics
        try metrics?.validate()
        #endif
        try connection.validate()
        try webSocket.validate()
        try rotation.validate()
        try publishing.validate()
        try receiving.validate()
        try connect.validate()
        try validateClientID()
        let seconds = keepAlive.components.seconds
        if keepAlive != .zero, !(5...65_535).contains(seconds) || keepAlive != .seconds(seconds) {
            throw .invalid(
                .invalidConfiguration, "keepAlive is \(keepAlive); it must be zero or whole seconds from 5 to 65535")
        }
        try validateAuthentication()
        if case .persistent(let expiry) = session, expiry < .seconds(1) || expiry > .seconds(UInt32.max) {
            throw .invalid(.invalidConfiguration, "session expiry is \(expiry); it must be from 1 s to 4294967295 s")
        }
        if connect.cleanSessionExpiry != .zero { try validateCleanSessionExpiry() }
        if session != .clean, clientID == nil || isClientIDDrawn {
            throw .invalid(
                .invalidConfiguration,
                "a persistent session needs a clientID of yours: with a random one nobody finds the session again")
        }
        if version != .v5_0,
            connect.hasProperties || will.map({ !$0.properties.isEmpty || $0.delayInterval > 0 }) == true
        {
            throw .invalid(.unsupported, "properties need MQTT 5.0; set version to .v5_0 or leave them out")
        }
        try platform?.limits.validate(self)
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
                .invalidConfiguration,
                "connect.cleanSessionExpiry is for a clean session; a persistent one has its own expiry")
        }
        if version != .v5_0 {
            throw .invalid(
                .unsupported, "connect.cleanSessionExpiry needs MQTT 5.0; set version to .v5_0 or leave it out")
        }
    }

    private func validateAuthentication() throws(MQTTError) {
        guard let authenticator else {
            if rotation.method == .reauthenticate {
                throw .invalid(.invalidConfiguration, "rotation.method .reauthenticate needs an authenticator")
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
            if let webSocket = endpoint.webSocket, webSocket.isSecure != (tls != nil) {
                throw .invalid(
                    .invalidConfiguration,
                    webSocket.isSecure
                        ? "endpoint \(endpoint) needs TLS; set tls, or use ws://"
                        : "endpoint \(endpoint) is without TLS; use wss://, or set tls to nil")
            }
        }
        if webSocket.prepare != nil, endpoints.allSatisfy({ $0.webSocket == nil }) {
            throw .invalid(
                .invalidConfiguration, "webSocket.prepare needs an endpoint with a WebSocket, such as wss://host/mqtt")
        }
        if Set(endpoints).count < endpoints.count {
            throw .invalid(.invalidConfiguration, "endpoints has the same one twice")
        }
        if connection.redirects == .any, let tls, tls.verification != .full, tls.preSharedKey == nil, tls.pins.isEmpty {
            throw .invalid(
                .invalidConfiguration,
                "connection.redirects .any needs the verification .full, or pins: the broker's certificate is what protects the credentials"
            )
        }
        if connection.redirects == .any, tls == nil {
            throw .invalid(
                .invalidConfiguration,
                "connection.redirects .any without TLS would show the credentials to anyone; use TLS, or .listed")
        }
    }
}
