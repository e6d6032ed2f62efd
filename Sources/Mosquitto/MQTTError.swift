/// The one error that this library throws: what happened, in which phase of a connection, and the detail to act on.
///
/// Neither the description nor any field ever holds a password or a token.
public struct MQTTError: Error, Sendable, CustomStringConvertible, CustomReflectable {
    /// What kind of error it is. Open: later versions add codes, so a `switch` needs a default.
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
        /// A system call failed for a reason of this machine, such as no free file descriptor.
        public static let system = Code("system")
        /// The SOCKS proxy refused, or does not answer as one; see ``MQTTClientConfiguration/proxy``.
        public static let proxy = Code("proxy")
        /// A deadline passed.
        public static let timeout = Code("timeout")
        /// The broker's certificate failed a check; see ``MQTTError/tls``.
        public static let tlsVerification = Code("tlsVerification")
        /// The broker ended the handshake with an alert; see ``MQTTError/tls``.
        public static let tlsAlert = Code("tlsAlert")
        /// What came is not TLS, or no version or cipher suite is shared; see ``MQTTError/tls``.
        public static let tlsProtocol = Code("tlsProtocol")
        /// The TLS configuration cannot be used: a file is missing, or a key does not match its certificate.
        public static let tlsConfiguration = Code("tlsConfiguration")
        /// The connection was closed by the broker or lost.
        public static let closed = Code("closed")
        /// No packet came from the broker within the keep-alive (MQTT 5.0, section 3.1.2.10).
        public static let keepAliveTimeout = Code("keepAliveTimeout")
        /// The broker refused the CONNECT or ended the connection; see ``MQTTError/reasonCode``.
        public static let refused = Code("refused")
        /// The broker does not accept the credentials; see ``MQTTError/reasonCode``.
        public static let notAuthorized = Code("notAuthorized")
        /// Another client has taken the session by using the same client identifier (MQTT 5.0, reason code 0x8E), or the broker
        /// closes one connection after another without a reason code, as brokers of MQTT 3.1.1 and some of 5.0 do then.
        public static let sessionTakenOver = Code("sessionTakenOver")
        /// The credential provider failed, or gave credentials that cannot be sent.
        public static let credentials = Code("credentials")
        /// The broker broke the protocol.
        public static let protocolViolation = Code("protocolViolation")

        // Using the client

        /// The client has stopped: `run()` ended, was cancelled or has shut down.
        public static let stopped = Code("stopped")
        /// `run()` or `start()` was called before.
        public static let alreadyRunning = Code("alreadyRunning")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")
        /// The queue of outgoing messages is full, or dropped the message for a newer one; see ``MQTTQueuePolicy``.
        public static let queueFull = Code("queueFull")
        /// There is no connection, and the message was not to wait for one; see ``MQTTQueuePolicy/queuesQoS0Offline``.
        public static let notConnected = Code("notConnected")
        /// The message expired before it could be sent (MQTT 5.0, section 3.3.2.3.3).
        public static let messageExpired = Code("messageExpired")
        /// A shutdown ended with messages that were not sent, or not acknowledged; see ``MQTTClient/shutdown()``.
        public static let unsent = Code("unsent")
        /// The broker refused a publish, subscribe or unsubscribe; see ``MQTTError/reasonCode``.
        public static let operationRefused = Code("operationRefused")

        /// The broker ends the connection over this publish, subscription or end of a subscription: it did so three times with a
        /// reason, or six times without one, the last time when nothing else was under way. The operation is not made again, and the client goes on. The message names the
        /// topic or the filter; see ``MQTTError/reasonCode`` if the broker said why.
        public static let endsConnection = Code("endsConnection")

        // Bad input, found before any I/O

        /// A topic name breaks the rules of section 4.7.
        public static let invalidTopic = Code("invalidTopic")
        /// A topic filter breaks the rules of section 4.7.
        public static let invalidTopicFilter = Code("invalidTopicFilter")
        /// A property cannot be sent: too long, or with a character that a broker may refuse (MQTT 5.0, section 1.5.4): a control
        /// character, such as a line feed or NUL, or a Unicode non-character.
        public static let invalidProperty = Code("invalidProperty")
        /// A value of the configuration is out of its range.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// A payload has more bytes than a packet can have.
        public static let payloadTooLarge = Code("payloadTooLarge")
        /// The installed libmosquitto, or the protocol version in use, cannot do this.
        public static let unsupported = Code("unsupported")
        /// libmosquitto failed in a way that has no better name; see ``MQTTError/libraryCode``.
        public static let library = Code("library")
    }

    /// Where in a connection's life an error happened.
    public enum Phase: String, Sendable, Hashable, CaseIterable {
        /// Asking the credential provider.
        case credentials
        /// Looking the host name up, and before it what TLS needs: its files and providers.
        case resolve
        /// Connecting TCP.
        case connect
        /// The TLS handshake.
        case tlsHandshake
        /// Waiting for the CONNACK.
        case connack
        /// After the CONNACK.
        case connected
    }

    /// What kind of error it is.
    public var code: Code
    /// One sentence for a person, without secrets.
    public var message: String
    /// The phase of the connection, where there was one.
    public var phase: Phase?
    /// The endpoint "host:port", where there was one.
    public var endpoint: String?
    /// The broker's reason code, in the vocabulary of MQTT 5.0.
    public var reasonCode: MQTTReasonCode?
    /// The number that the broker sent: differs from `reasonCode` in an MQTT 3.1.1 CONNACK.
    public var rawReasonCode: UInt8?
    /// The broker's own text (MQTT 5.0, Reason String).
    public var reasonString: String?
    /// What else the broker said (MQTT 5.0, User Property).
    public var userProperties: [MQTTUserProperty] = []
    /// Another broker to use, as the broker said (MQTT 5.0, Server Reference).
    public var serverReference: String?
    /// The topic filters that the broker refused, of those that were subscribed to together.
    public var refusedFilters: [MQTTTopicFilter] = []
    /// The detail of a TLS failure.
    public var tls: TLSFailure?
    /// libmosquitto's code (`MOSQ_ERR_…`).
    public var libraryCode: Int32?
    /// The system's `errno`.
    public var systemCode: Int32?
    /// The error of your own code, such as a credential provider's.
    public var underlying: (any Error)?

    public init(_ code: Code, _ message: String, phase: Phase? = nil) {
        self.code = code
        self.message = message
        self.phase = phase
    }

    static func invalid(_ code: Code, _ message: String) -> MQTTError { MQTTError(code, message) }

    /// Whether the default retry policy tries again after this failure of a connection. `false` for an error of anything else.
    public var isRetryable: Bool {
        if [.operationRefused, .endsConnection, .queueFull, .notConnected, .messageExpired].contains(code) {
            return false
        }
        return !MQTTRetryPolicy.Decision.standard(for: MQTTFailure(error: self, attempt: 1, isInitial: true)).isStop
    }

    /// What `dump` shows. Of ``underlying``, which is your own, the type alone: its fields may hold a secret.
    public var customMirror: Mirror {
        var children: [(label: String?, value: Any)] = [("code", code), ("message", message)]
        let details: [(String, Any?)] = [
            ("phase", phase), ("endpoint", endpoint), ("reasonCode", reasonCode), ("rawReasonCode", rawReasonCode),
            ("reasonString", reasonString), ("userProperties", userProperties.isEmpty ? nil : userProperties),
            ("serverReference", serverReference),
            ("refusedFilters", refusedFilters.isEmpty ? nil : refusedFilters), ("tls", tls),
            ("libraryCode", libraryCode), ("systemCode", systemCode),
            ("underlying", underlying.map { "\(type(of: $0))" }),
        ]
        for case (let label, let value?) in details { children.append((label, value)) }
        return Mirror(self, children: children, displayStyle: .struct)
    }

    public var description: String {
        var text = message
        if let reasonString { text += ": " + quoted(reasonString) }
        if let endpoint { text += " [\(endpoint)]" }
        return text
    }
}
