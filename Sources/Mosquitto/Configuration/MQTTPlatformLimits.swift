// SPDX-License-Identifier: Apache-2.0

/// The limits of a hosted platform. The client checks them before it sends anything, so that a mistake is an
/// ``MQTTError`` with the platform's name and not a closed connection.
///
/// The profiles, such as ``MQTTClientConfiguration/awsIoTCore(endpoint:clientID:authentication:)``, set them from the
/// platform's documents. Change a value if the platform has granted you another quota. `nil` is no limit.
public struct MQTTPlatformLimits: Sendable, Hashable {
    /// The name of the platform, for messages.
    public var name: String
    /// The documents with the limits.
    public var documents: [String]

    /// The versions of MQTT that the platform speaks.
    public var versions: [MQTTVersion] = [.v3_1_1, .v5_0]
    /// The longest client identifier, in bytes.
    public var clientIDBytes: Int?
    /// The longest keep-alive interval.
    public var longestKeepAlive: Duration?
    /// The longest expiry of a session.
    public var longestSessionExpiry: Duration?
    /// The longest delay of a will, in seconds.
    public var longestWillDelay: UInt32?
    /// True if only PUBLISH and the will may have user properties.
    public var hasUserPropertiesOfMessagesOnly = false

    /// The highest QoS of messages and subscriptions.
    public var maximumQoS: MQTTQoS = .exactlyOnce
    /// The largest payload of a message, in bytes.
    public var payloadBytes: Int?
    /// The largest payload of a retained message, in bytes; 0 for a platform without retained messages.
    public var retainedPayloadBytes: Int?
    /// The longest topic name or topic filter, in bytes, without `$share/GROUP/`.
    public var topicBytes: Int?
    /// The highest number of levels of a topic name or a topic filter, without `$share/GROUP/`.
    public var topicLevels: Int?
    /// The beginning of topic names that may have three more levels, such as "$aws/rules/".
    public var longTopicPrefix: String?

    /// The highest number of filters in a SUBSCRIBE.
    public var filtersPerSubscribe: Int?
    /// The highest number of subscriptions of a client.
    public var subscriptions: Int?
    /// True if the platform has shared subscriptions.
    public var hasSharedSubscriptions = true

    /// The topic names to which a client may publish, as filters; empty for all.
    public var publishable: [MQTTTopicFilter] = []
    /// The topic filters to which a client may subscribe; empty for all.
    public var subscribable: [MQTTTopicFilter] = []

    /// Creates limits of a platform of your own, without any limit.
    public init(name: String, documents: [String] = []) {
        self.name = name
        self.documents = documents
    }
}

/// A platform, and its limits. A reference, so that a client without a platform has no memory for one.
struct MQTTPlatform: Sendable {
    private final class Storage: Sendable {
        let limits: MQTTPlatformLimits
        init(_ limits: MQTTPlatformLimits) { self.limits = limits }
    }

    private let storage: Storage

    init(_ limits: MQTTPlatformLimits) { storage = Storage(limits) }

    var limits: MQTTPlatformLimits { storage.limits }
}
