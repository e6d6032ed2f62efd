// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// An event of a client's connection. Each attempt begins with ``Kind/attemptStarted(_:)`` and ends with exactly one of
/// ``Kind/attemptFailed(_:)`` and ``Kind/connected(_:)``, unless the client is shut down meanwhile; no event follows
/// ``Kind/stopped(_:)``.
///
/// Events never contain a token or a password.
public struct MQTTConnectionEvent: Sendable {
    public enum Kind: Sendable {
        case attemptStarted(MQTTConnectionAttemptStarted)
        case attemptFailed(MQTTConnectionAttemptFailed)
        case connected(MQTTConnectionInfo)
        case disconnected(MQTTDisconnection)
        case credentialsRefreshed(MQTTCredentialsRefreshed)
        case credentialsFailed(MQTTCredentialsFailed)
        case credentialsRotated(MQTTCredentialsRotated)
        /// The filters that the broker granted again after a reconnect without a session.
        case resubscribed(filters: [String])
        /// The client stops with messages that were not sent or not acknowledged.
        case messagesUnsent(MQTTMessagesUnsent)
        /// Messages of QoS 0 were dropped from the full queue, according to
        /// ``MQTTQueuePolicy/WhenFull/dropOldestQoS0``. The first drop is reported at once; later ones are reported
        /// together, every five seconds.
        case messagesDropped(MQTTMessagesDropped)
        /// The broker refused a filter that it had granted before, for instance when the client subscribed again.
        case subscriptionRefused(MQTTSubscriptionRefused)
        /// A change of the network has ended the delay before the next attempt.
        case delayEnded(MQTTDelayEnded)
        /// The client stopped: with the error that stopped it, or `nil` after a shutdown.
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
            case .delayEnded: "delayEnded"
            case .stopped: "stopped"
            }
        }
    }

    /// The time of the event.
    public var time: Date
    /// The kind of the event.
    public var kind: Kind
}

/// A connection attempt started.
public struct MQTTConnectionAttemptStarted: Sendable {
    /// The attempt's number: 1 is the first since the last established connection.
    public var attempt: Int
    /// True until the client has connected for the first time.
    public var isInitial: Bool
    public var endpoint: MQTTEndpoint
}

/// A connection attempt failed.
public struct MQTTConnectionAttemptFailed: Sendable {
    public var attempt: Int
    public var endpoint: MQTTEndpoint
    /// The error, with the phase in which it occurred.
    public var error: MQTTError
    public var decision: MQTTRetryPolicy.Decision
    /// The delay before the next attempt; `nil` if there is none.
    public var retryIn: Duration?
    /// The target of the broker's redirection, if it is followed.
    public var redirectedTo: MQTTEndpoint?
}

/// An established connection.
public struct MQTTConnectionInfo: Sendable {
    /// The parameters negotiated by TLS.
    public struct TLS: Sendable, Hashable {
        /// "TLSv1.3" or "TLSv1.2".
        public var version: String
        /// OpenSSL's name of the cipher suite.
        public var cipher: String
        /// OpenSSL's name of the group of the key exchange, such as "x25519" or "X25519MLKEM768"; `nil` if it has none,
        /// as with finite-field Diffie-Hellman in TLS 1.2. A resumed session of TLS 1.2 has the group of its first
        /// connection.
        public var group: String?
        /// True if an earlier TLS session was resumed.
        public var resumed: Bool
        /// The application protocol that the broker chose (ALPN); `nil` if it chose none.
        public var applicationProtocol: String?

        /// True if the key exchange withstands a quantum computer: ML-KEM (FIPS 203), alone or together with a
        /// classical group.
        public var isPostQuantum: Bool { group.map(PostQuantum.isGroup) ?? false }
    }

    /// The number of the attempt that succeeded.
    public var attempt: Int
    public var endpoint: MQTTEndpoint
    /// The numeric address of the peer.
    public var address: String
    /// True if the broker still had the client's session.
    public var sessionPresent: Bool
    /// `nil` on plain TCP.
    public var tls: TLS?
    /// The client identifier in use.
    public var clientID: String
    /// The properties of the broker's CONNACK.
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

/// An established connection ended unexpectedly: it was lost, or the broker closed it.
public struct MQTTDisconnection: Sendable {
    /// The endpoint of the connection.
    public var endpoint: MQTTEndpoint
    public var error: MQTTError
    public var decision: MQTTRetryPolicy.Decision
    /// The delay before the next attempt; `nil` if there is none.
    public var retryIn: Duration?
    /// The target of the broker's redirection, if it is followed.
    public var redirectedTo: MQTTEndpoint?
}

/// The credential provider returned credentials.
public struct MQTTCredentialsRefreshed: Sendable {
    /// The remaining lifetime of the credentials; `nil` if unknown.
    public var expiresIn: Duration?
    /// The provider's ``MQTTCredentialProvider/source``.
    public var source: String
}

/// The credential provider failed while the connection is up. (If it fails without a connection, or returns credentials
/// that the broker has already rejected, the attempt fails instead.)
public struct MQTTCredentialsFailed: Sendable {
    /// The provider's failure.
    public var error: MQTTError
    /// The failure in words.
    public var message: String { error.description }
    /// The time until the provider is asked again; `nil` if it is not.
    public var retryIn: Duration?
}

/// The credentials of a running client were replaced.
public struct MQTTCredentialsRotated: Sendable {
    /// The time without a connection.
    public var gap: Duration
}

/// A client stops before all accepted messages were sent and acknowledged.
public struct MQTTMessagesUnsent: Sendable, Hashable {
    /// Number of messages that were not sent or not acknowledged.
    public var count: Int
}

/// Messages of QoS 0 were dropped from the full queue to make room for newer ones.
public struct MQTTMessagesDropped: Sendable, Hashable {
    /// Number of messages dropped since the last such event.
    public var count: Int
}

/// The broker refused a filter that it had granted before. No message arrives for the filter until the broker grants it
/// at a reconnect.
public struct MQTTSubscriptionRefused: Sendable {
    public var filter: MQTTTopicFilter
    /// An ``MQTTError/Code/operationRefused`` with the broker's reason code and explanation.
    public var error: MQTTError

    /// The broker's reason code; ``MQTTReasonCode/unspecifiedError`` with MQTT 3.1.1.
    public var reasonCode: MQTTReasonCode { error.reasonCode ?? .unspecifiedError }
}
