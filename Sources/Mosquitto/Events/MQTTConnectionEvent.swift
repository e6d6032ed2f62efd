public import FoundationEssentials

/// Something that happened to a client's connection. Each attempt begins with ``Kind/attemptStarted(_:)`` and ends with
/// exactly one of ``Kind/attemptFailed(_:)`` and ``Kind/connected(_:)``, unless the client is shut down meanwhile; nothing follows
/// ``Kind/stopped(_:)``.
///
/// No event ever holds a token or a password.
public struct MQTTConnectionEvent: Sendable {
    public enum Kind: Sendable {
        case attemptStarted(MQTTConnectionAttemptStarted)
        case attemptFailed(MQTTConnectionAttemptFailed)
        case connected(MQTTConnectionInfo)
        case disconnected(MQTTDisconnection)
        case credentialsRefreshed(MQTTCredentialsRefreshed)
        case credentialsFailed(MQTTCredentialsFailed)
        case credentialsRotated(MQTTCredentialsRotated)
        /// The filters that the broker has granted again, since it had no session.
        case resubscribed(filters: [String])
        /// The client stops before it could send everything, or before everything was acknowledged.
        case messagesUnsent(MQTTMessagesUnsent)
        /// Messages of QoS 0 made room in the full queue, as ``MQTTQueuePolicy/WhenFull/dropOldestQoS0`` says: the first one is told
        /// at once, and later ones every five seconds, together.
        case messagesDropped(MQTTMessagesDropped)
        /// The broker refuses a filter that it had granted before: when the client subscribed again, for instance.
        case subscriptionRefused(MQTTSubscriptionRefused)
        /// The end: with the error that stopped the client, or `nil` after a shutdown.
        case stopped(MQTTError?)

        /// The name of the case, as in the JSON of `mosq --events`.
        public var name: String {
            switch self {
            case .attemptStarted: "attemptStarted"
            case .attemptFailed: "attemptFailed"
            case .connected: "connected"
            case .disconnected: "disconnected"
            case .credentialsRefreshed: "credentialsRefreshed"
            case .credentialsFailed: "credentialsFailed"
            case .credentialsRotated: "credentialsRotated"
            case .resubscribed: "resubscribed"
            case .messagesUnsent: "messagesUnsent"
            case .messagesDropped: "messagesDropped"
            case .subscriptionRefused: "subscriptionRefused"
            case .stopped: "stopped"
            }
        }
    }

    /// When it happened.
    public var time: Date
    /// What happened.
    public var kind: Kind
}

/// An attempt to connect has begun.
public struct MQTTConnectionAttemptStarted: Sendable {
    /// 1 is the first since the last established connection.
    public var attempt: Int
    /// Whether there has never been a connection yet.
    public var isInitial: Bool
    public var endpoint: MQTTEndpoint
}

/// An attempt to connect has failed.
public struct MQTTConnectionAttemptFailed: Sendable {
    public var attempt: Int
    public var endpoint: MQTTEndpoint
    /// What failed, with the phase it failed in.
    public var error: MQTTError
    public var decision: MQTTRetryPolicy.Decision
    /// The delay before the next attempt; `nil` if there is none.
    public var retryIn: Duration?
    /// Where the broker's redirection is followed to.
    public var redirectedTo: MQTTEndpoint?
}

/// An established connection.
public struct MQTTConnectionInfo: Sendable {
    /// What TLS negotiated.
    public struct TLS: Sendable, Hashable {
        /// "TLSv1.3" or "TLSv1.2".
        public var version: String
        /// OpenSSL's name of the cipher suite.
        public var cipher: String
        /// Whether an earlier TLS session was resumed.
        public var resumed: Bool
        /// The application protocol that the broker chose (ALPN); `nil` if it chose none.
        public var applicationProtocol: String?
    }

    /// The number of the attempt that succeeded.
    public var attempt: Int
    public var endpoint: MQTTEndpoint
    /// The numeric address that was connected to.
    public var address: String
    /// Whether the broker still had the client's session.
    public var sessionPresent: Bool
    /// `nil` on plain TCP.
    public var tls: TLS?
    /// The client identifier in use.
    public var clientID: String
    /// What the broker said of itself.
    public var properties: MQTTConnackProperties

    package init(
        attempt: Int, endpoint: MQTTEndpoint, address: String, sessionPresent: Bool, tls: TLS?, clientID: String,
        properties: MQTTConnackProperties
    ) {
        self.attempt = attempt
        self.endpoint = endpoint
        self.address = address
        self.sessionPresent = sessionPresent
        self.tls = tls
        self.clientID = clientID
        self.properties = properties
    }
}

/// An established connection has ended without the client wanting it.
public struct MQTTDisconnection: Sendable {
    /// Where the connection was to.
    public var endpoint: MQTTEndpoint
    public var error: MQTTError
    public var decision: MQTTRetryPolicy.Decision
    /// The delay before the next attempt; `nil` if there is none.
    public var retryIn: Duration?
    /// Where the broker's redirection is followed to.
    public var redirectedTo: MQTTEndpoint?
}

/// The credential provider has given credentials.
public struct MQTTCredentialsRefreshed: Sendable {
    /// How long they last; `nil` if unknown.
    public var expiresIn: Duration?
    /// The provider's ``MQTTCredentialProvider/source``.
    public var source: String
}

/// New credentials could not be had while the connection is up. (A provider that fails without a connection, or gives again
/// what the broker has refused, fails the attempt.)
public struct MQTTCredentialsFailed: Sendable {
    public var message: String
    /// When the provider is asked again; `nil` if it is not.
    public var retryIn: Duration?
}

/// The credentials were changed under a running client.
public struct MQTTCredentialsRotated: Sendable {
    /// How long there was no connection.
    public var gap: Duration
}

/// A client has stopped with messages that it had accepted.
public struct MQTTMessagesUnsent: Sendable, Hashable {
    /// How many were not sent, or not acknowledged.
    public var count: Int
}

/// Messages of QoS 0 were dropped from the full queue, for newer ones.
public struct MQTTMessagesDropped: Sendable, Hashable {
    /// How many, since the last such event.
    public var count: Int
}

/// The broker refuses a filter that it had granted before. Nothing more comes for it until a reconnect at which it is granted.
public struct MQTTSubscriptionRefused: Sendable {
    public var filter: MQTTTopicFilter
    /// An ``MQTTError/Code/operationRefused``, with the broker's reason code and what it says of it.
    public var error: MQTTError

    /// The broker's reason code; ``MQTTReasonCode/unspecifiedError`` with MQTT 3.1.1.
    public var reasonCode: MQTTReasonCode { error.reasonCode ?? .unspecifiedError }
}
