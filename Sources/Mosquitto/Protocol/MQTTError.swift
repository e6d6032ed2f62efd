// SPDX-License-Identifier: Apache-2.0

/// The only error type that this library throws: the kind of failure, the phase of the connection, and details to act
/// on.
///
/// The description and the fields never contain a password or a token.
public struct MQTTError: Error, Sendable, CustomStringConvertible, CustomReflectable {
    /// The kind of an error. More codes may be added in later versions: a `switch` needs a `default`.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as in the JSON of `mosq --events`.
        public let name: String
        private init(_ name: String) { self.name = name }
        public var description: String { name }

        // Connecting

        /// The host name did not resolve.
        public static let dns = Code("dns")
        /// Nothing listens at the endpoint, or a firewall refused.
        public static let connectionRefused = Code("connectionRefused")
        /// No route to the endpoint.
        public static let networkUnreachable = Code("networkUnreachable")
        /// A system call failed for a local reason, such as a lack of file descriptors.
        public static let system = Code("system")
        /// The proxy refused, or does not answer as one, or its TLS failed; see ``MQTTConnectionOptions/proxy``,
        /// ``MQTTError/httpStatus`` and ``MQTTError/tls``.
        public static let proxy = Code("proxy")
        /// The server answered the WebSocket upgrade with another HTTP status than 101, and it is not about the
        /// credentials; see ``MQTTError/webSocket``.
        public static let upgradeRefused = Code("upgradeRefused")
        /// A deadline passed.
        public static let timeout = Code("timeout")
        /// The broker's certificate failed a check; see ``MQTTError/tls``.
        public static let tlsVerification = Code("tlsVerification")
        /// The broker ended the handshake with an alert; see ``MQTTError/tls``.
        public static let tlsAlert = Code("tlsAlert")
        /// The peer does not speak TLS, or no version or cipher suite is shared; see ``MQTTError/tls``.
        public static let tlsProtocol = Code("tlsProtocol")
        /// The TLS configuration cannot be used: a file is missing, or a key does not match its certificate.
        public static let tlsConfiguration = Code("tlsConfiguration")
        /// The connection was closed by the broker or lost.
        public static let closed = Code("closed")
        /// No packet arrived from the broker within the keep-alive interval (MQTT 5.0, section 3.1.2.10).
        public static let keepAliveTimeout = Code("keepAliveTimeout")
        /// The broker refused the CONNECT or ended the connection; see ``MQTTError/reasonCode``.
        public static let refused = Code("refused")
        /// The broker does not accept the credentials; see ``MQTTError/reasonCode``, or ``MQTTError/webSocket`` for an
        /// upgrade that was answered with 401 or 403.
        public static let notAuthorized = Code("notAuthorized")
        /// Another client took over the session by connecting with the same client identifier (MQTT 5.0, reason code
        /// 0x8E); or the broker closed several connections in a row without a reason code, as MQTT 3.1.1 brokers and
        /// some MQTT 5.0 brokers do after a takeover.
        public static let sessionTakenOver = Code("sessionTakenOver")
        /// The credential provider failed, or returned credentials that cannot be sent.
        public static let credentials = Code("credentials")
        /// The broker violated the protocol.
        public static let protocolViolation = Code("protocolViolation")

        // Using the client

        /// The client has stopped: `run()` returned, was cancelled or was shut down.
        public static let stopped = Code("stopped")
        /// `run()` or `start()` was called before.
        public static let alreadyRunning = Code("alreadyRunning")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")
        /// The queue of outgoing messages is full, or the message was dropped for a newer one; see ``MQTTQueuePolicy``.
        public static let queueFull = Code("queueFull")
        /// There is no connection, and the queue policy does not let the message wait for one; see
        /// ``MQTTQueuePolicy/queuesQoS0Offline``.
        public static let notConnected = Code("notConnected")
        /// The message expired before it could be sent (MQTT 5.0, section 3.3.2.3.3).
        public static let messageExpired = Code("messageExpired")
        /// The client shut down with messages that were not sent or not acknowledged; see ``MQTTClient/shutdown()``.
        public static let unsent = Code("unsent")
        /// The broker refused a publish, subscribe or unsubscribe; see ``MQTTError/reasonCode``.
        public static let operationRefused = Code("operationRefused")

        /// The broker repeatedly closed the connection because of this publish, subscribe or unsubscribe: three times
        /// with a reason code, or six times without one, the last time with no other operation in progress. The client
        /// gives up the operation and carries on. The message names the topic or the filter; see
        /// ``MQTTError/reasonCode`` for the broker's reason, if it sent one.
        public static let endsConnection = Code("endsConnection")

        // Bad input, found before any I/O

        /// A topic name breaks the rules of section 4.7.
        public static let invalidTopic = Code("invalidTopic")
        /// A topic filter breaks the rules of section 4.7.
        public static let invalidTopicFilter = Code("invalidTopicFilter")
        /// A property cannot be sent: it is too long, or contains a character that a broker may reject (MQTT 5.0,
        /// section 1.5.4): a control character, such as a line feed or NUL, or a Unicode non-character.
        public static let invalidProperty = Code("invalidProperty")
        /// A configuration value is out of range.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// A payload is too large for an MQTT packet.
        public static let payloadTooLarge = Code("payloadTooLarge")
        /// The operation is not supported by the installed libmosquitto or by the protocol version in use.
        public static let unsupported = Code("unsupported")
        /// libmosquitto failed with an error that no other code describes; see ``MQTTError/libraryCode``.
        public static let library = Code("library")
    }

    /// The phase of a connection in which an error occurred.
    public enum Phase: String, Sendable, Hashable, CaseIterable {
        /// Asking a provider: of credentials, of a proxy's authorization, or of what TLS needs.
        case credentials
        /// Loading the TLS files, then resolving the host name. The deadline includes the providers of TLS.
        case resolve
        /// Connecting TCP, and through a proxy.
        case connect
        /// The TLS handshake.
        case tlsHandshake
        /// The upgrade to a WebSocket.
        case upgrade
        /// Waiting for the CONNACK.
        case connack
        /// After the CONNACK.
        case connected
    }

    /// The kind of the error.
    public var code: Code
    /// A human-readable sentence without secrets. Characters of foreign text that steer a terminal are escaped.
    public var message: String
    /// The phase of the connection, if the error belongs to one.
    public var phase: Phase?
    /// The endpoint as "host:port", or as a URL without its query, if the error belongs to one.
    public var endpoint: String?
    /// The broker's reason code, mapped to MQTT 5.0.
    public var reasonCode: MQTTReasonCode?
    /// The number that the broker sent, which differs from `reasonCode` for an MQTT 3.1.1 CONNACK.
    public var rawReasonCode: UInt8?
    /// The broker's text (MQTT 5.0, Reason String): at most 1 KiB, with control characters and the like escaped.
    public var reasonString: String?
    /// The broker's user properties (MQTT 5.0, User Property).
    public var userProperties: [MQTTUserProperty] = []
    /// Another broker to use instead (MQTT 5.0, Server Reference), or the URL of an HTTP redirection without its query.
    public var serverReference: String?
    /// The topic filters that the broker refused, if several were subscribed to in one call.
    public var refusedFilters: [MQTTTopicFilter] = []
    /// The status of an HTTP response in place of a connection, 100 to 999: the answer of a proxy to CONNECT, or of a
    /// server to the upgrade to a WebSocket.
    public var httpStatus: Int?
    /// The details of a TLS failure.
    public var tls: MQTTTLSFailure? {
        get { details?.tls }
        set { details = Details(tls: newValue, webSocket: webSocket) }
    }
    /// The details of a WebSocket failure.
    public var webSocket: MQTTWebSocketFailure? {
        get { details?.webSocket }
        set { details = Details(tls: tls, webSocket: newValue) }
    }
    /// libmosquitto's code (`MOSQ_ERR_…`).
    public var libraryCode: Int32?
    /// The system's `errno`.
    public var systemCode: Int32?
    /// The error thrown by your own code, such as a credential provider.
    public var underlying: (any Error)?

    /// The large and rare details. On the heap, since each client has room for several errors.
    private var details: Details?

    private final class Details: Sendable {
        let tls: MQTTTLSFailure?
        let webSocket: MQTTWebSocketFailure?

        init(tls: MQTTTLSFailure?, webSocket: MQTTWebSocketFailure?) {
            self.tls = tls
            self.webSocket = webSocket
        }
    }

    public init(_ code: Code, _ message: String, phase: Phase? = nil) {
        self.code = code
        self.message = ForeignText(message, limit: 4 * ForeignText.limit).description
        self.phase = phase
    }

    static func invalid(_ code: Code, _ message: String) -> MQTTError { MQTTError(code, message) }

    /// The mirror that `dump` shows. ``underlying`` appears only by its type, since a user's error may hold a secret.
    public var customMirror: Mirror {
        var children: [(label: String?, value: Any)] = [("code", code), ("message", message)]
        let details: [(String, Any?)] = [
            ("phase", phase), ("endpoint", endpoint), ("reasonCode", reasonCode), ("rawReasonCode", rawReasonCode),
            ("reasonString", reasonString), ("userProperties", userProperties.isEmpty ? nil : userProperties),
            ("serverReference", serverReference),
            ("refusedFilters", refusedFilters.isEmpty ? nil : refusedFilters), ("httpStatus", httpStatus),
            ("tls", tls), ("webSocket", webSocket),
            ("libraryCode", libraryCode), ("systemCode", systemCode),
            ("underlying", underlying.map { "\(type(of: $0))" }),
        ]
        for case (let label, let value?) in details { children.append((label, value)) }
        return Mirror(self, children: children, displayStyle: .struct)
    }

    /// True if an HTTP proxy did not accept the client's authorization. tinyproxy 1.11 answers 401 to a wrong one, and
    /// 407 to none.
    package var isProxyAuthentication: Bool { code == .proxy && (httpStatus == 407 || httpStatus == 401) }

    public var description: String {
        var text = message
        if let reasonString { text += ": " + quoted(reasonString) }
        if let endpoint { text += " [\(endpoint)]" }
        return text
    }
}
