/// A user property: a name and a value that the application defines; order and repetition are kept
/// (MQTT 5.0, section 3.3.2.3.7).
public struct MQTTUserProperty: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The properties of a PUBLISH packet (MQTT 5.0, section 3.3.2.3). With MQTT 3.1.1 they must be empty.
public struct MQTTPublishProperties: Sendable, Hashable {
    /// Whether the payload is UTF-8 text (section 3.3.2.3.2); absent by default.
    public var payloadIsUTF8: Bool?
    /// Seconds until the broker may discard the message (section 3.3.2.3.3).
    public var messageExpiryInterval: UInt32?
    /// The media type of the payload (section 3.3.2.3.9).
    public var contentType: String?
    /// The topic of the answer to a request (section 3.3.2.3.5).
    public var responseTopic: String?
    /// What pairs an answer with its request (section 3.3.2.3.6).
    public var correlationData: [UInt8]?
    /// User properties, in order (section 3.3.2.3.7).
    public var userProperties: [MQTTUserProperty]
    /// The identifiers of the matching subscriptions; received only (section 3.3.2.3.8).
    public var subscriptionIdentifiers: [UInt32]

    public init(
        payloadIsUTF8: Bool? = nil, messageExpiryInterval: UInt32? = nil, contentType: String? = nil,
        responseTopic: String? = nil, correlationData: [UInt8]? = nil, userProperties: [MQTTUserProperty] = []
    ) {
        self.payloadIsUTF8 = payloadIsUTF8
        self.messageExpiryInterval = messageExpiryInterval
        self.contentType = contentType
        self.responseTopic = responseTopic
        self.correlationData = correlationData
        self.userProperties = userProperties
        self.subscriptionIdentifiers = []
    }

    /// Whether no property is set.
    public var isEmpty: Bool {
        payloadIsUTF8 == nil && messageExpiryInterval == nil && contentType == nil && responseTopic == nil
            && correlationData == nil && userProperties.isEmpty && subscriptionIdentifiers.isEmpty
    }

    func validate() throws(MQTTError) {
        try validateString(contentType, "content type")
        if let responseTopic { try MQTTTopic(responseTopic).validate() }
        if let correlationData, correlationData.count > 65_535 {
            throw .invalid(
                .invalidProperty, "correlation data has \(correlationData.count) bytes; at most 65535 are allowed")
        }
        try Mosquitto.validate(userProperties)
    }
}

func validate(_ userProperties: [MQTTUserProperty]) throws(MQTTError) {
    for property in userProperties {
        try validateString(property.name, "user property name")
        try validateString(property.value, "user property value")
    }
}

/// The properties that a broker sent with its CONNACK (MQTT 5.0, section 3.2.2.3), with the defaults that the
/// specification gives for those it left out. With MQTT 3.1.1 all are defaults.
public struct MQTTConnackProperties: Sendable, Hashable {
    /// Seconds for which the broker keeps the session; `nil` if it accepted what the client asked for.
    public var sessionExpiryInterval: UInt32?
    /// How many QoS 1 and 2 publishes the broker takes before it acknowledged the first.
    public var receiveMaximum: UInt16 = 65_535
    /// The highest QoS that the broker takes.
    public var maximumQoS: MQTTQoS = .exactlyOnce
    /// Whether the broker keeps retained messages.
    public var retainAvailable = true
    /// The largest packet in bytes that the broker takes; `nil` for no limit but the protocol's.
    public var maximumPacketSize: UInt32?
    /// The client identifier that the broker chose, if it was asked to.
    public var assignedClientIdentifier: String?
    /// The highest topic alias that the broker takes; 0 for none.
    public var topicAliasMaximum: UInt16 = 0
    /// A text for a person.
    public var reasonString: String?
    /// Whether filters with wildcards are supported.
    public var wildcardSubscriptionAvailable = true
    /// Whether subscription identifiers are supported.
    public var subscriptionIdentifiersAvailable = true
    /// Whether shared subscriptions are supported.
    public var sharedSubscriptionAvailable = true
    /// The keep-alive in seconds that the broker demands instead of the client's.
    public var serverKeepAlive: UInt16?
    /// Where to send answers to (section 3.2.2.3.15).
    public var responseInformation: String?
    /// Another broker to use (section 4.13).
    public var serverReference: String?
    /// User properties, in order.
    public var userProperties: [MQTTUserProperty] = []

    public init() {}
}

/// Throws if `text` cannot be an MQTT string: over 65,535 bytes of UTF-8, or with a character that a receiver may take for a
/// malformed packet (section 1.5.4).
func validateString(_ text: String?, _ what: String) throws(MQTTError) {
    guard let text else { return }
    if text.utf8.count > 65_535 {
        throw .invalid(
            .invalidProperty, "\(what) \(quoted(text)) has \(text.utf8.count) bytes; at most 65535 are allowed")
    }
    if let reason = unsendable(text) { throw .invalid(.invalidProperty, "\(what) \(quoted(text)) has \(reason)") }
}
