// SPDX-License-Identifier: Apache-2.0

/// A user property: a name and a value defined by the application. Order and repetition are preserved (MQTT 5.0,
/// section 3.3.2.3.7).
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
    /// True if the payload is UTF-8 text (section 3.3.2.3.2); `nil`, the default, leaves the property out.
    public var payloadIsUTF8: Bool?
    /// Seconds until the broker may discard the message (section 3.3.2.3.3).
    public var messageExpiryInterval: UInt32?
    /// The media type of the payload (section 3.3.2.3.9).
    public var contentType: String?
    /// The topic for the response to a request (section 3.3.2.3.5).
    public var responseTopic: String?
    /// The data that pairs a response with its request (section 3.3.2.3.6).
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

    /// True if no property is set.
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

/// The properties of a broker's CONNACK (MQTT 5.0, section 3.2.2.3). Properties that the broker left out have the
/// defaults of the specification; with MQTT 3.1.1 all properties have their defaults.
public struct MQTTConnackProperties: Sendable, Hashable {
    /// Number of seconds for which the broker keeps the session; `nil` if it accepted the client's value.
    public var sessionExpiryInterval: UInt32?
    /// Number of QoS 1 and 2 publishes that may be unacknowledged at a time.
    public var receiveMaximum: UInt16 = 65_535
    /// The highest QoS that the broker accepts.
    public var maximumQoS: MQTTQoS = .exactlyOnce
    /// True if the broker keeps retained messages.
    public var retainAvailable = true
    /// Size in bytes of the largest packet that the broker accepts; `nil` if only the protocol limits it.
    public var maximumPacketSize: UInt32?
    /// The client identifier assigned by the broker, if the client asked for one.
    public var assignedClientIdentifier: String?
    /// The highest topic alias that the broker accepts; 0 for none.
    public var topicAliasMaximum: UInt16 = 0
    /// A human-readable text.
    public var reasonString: String?
    /// True if filters with wildcards are supported.
    public var wildcardSubscriptionAvailable = true
    /// True if subscription identifiers are supported.
    public var subscriptionIdentifiersAvailable = true
    /// True if shared subscriptions are supported.
    public var sharedSubscriptionAvailable = true
    /// The keep-alive interval in seconds that the broker requires instead of the client's.
    public var serverKeepAlive: UInt16?
    /// The basis for response topics, as the broker suggests it (section 3.2.2.3.15).
    public var responseInformation: String?
    /// Another broker to use (section 4.13).
    public var serverReference: String?
    /// User properties, in order.
    public var userProperties: [MQTTUserProperty] = []

    public init() {}
}

/// Throws if `text` cannot be an MQTT string: more than 65,535 bytes of UTF-8, or a character for which a receiver may
/// treat the packet as malformed (section 1.5.4).
func validateString(_ text: String?, _ what: String) throws(MQTTError) {
    guard let text else { return }
    if text.utf8.count > 65_535 {
        throw .invalid(
            .invalidProperty, "\(what) \(quoted(text)) has \(text.utf8.count) bytes; at most 65535 are allowed")
    }
    if let reason = unsendable(text) { throw .invalid(.invalidProperty, "\(what) \(quoted(text)) has \(reason)") }
}
