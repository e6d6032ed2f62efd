// SPDX-License-Identifier: Apache-2.0

/// A topic filter with the options of its subscription (MQTT 5.0, section 3.8.3.1).
public struct MQTTSubscription: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// The condition under which the broker sends retained messages (section 3.8.3.1, Retain Handling).
    public enum RetainHandling: UInt8, Sendable, Hashable {
        /// At each SUBSCRIBE; the only behaviour of MQTT 3.1.1.
        case sendOnSubscribe = 0
        /// Only if the subscription did not exist before.
        case sendIfNew = 1
        /// Never.
        case doNotSend = 2
    }

    /// The filter.
    public var filter: MQTTTopicFilter
    /// The highest QoS at which the broker delivers.
    public var qos: MQTTQoS
    /// True to exclude messages published by this client; MQTT 5.0 only.
    public var noLocal: Bool
    /// True to preserve the retain flag of forwarded messages; MQTT 5.0 only.
    public var retainAsPublished: Bool
    /// The handling of retained messages; MQTT 5.0 only.
    public var retainHandling: RetainHandling
    /// User properties of the SUBSCRIBE (section 3.8.2.1.3); MQTT 5.0 only.
    public var userProperties: [MQTTUserProperty]
    /// The Subscription Identifier of a client that does not assign its own (section 3.8.2.1.2), which is that of
    /// `mosq`; from 1 to 268,435,455.
    package var identifier: UInt32?

    public init(
        _ filter: MQTTTopicFilter, qos: MQTTQoS = .atLeastOnce, noLocal: Bool = false, retainAsPublished: Bool = false,
        retainHandling: RetainHandling = .sendOnSubscribe, userProperties: [MQTTUserProperty] = []
    ) {
        self.filter = filter
        self.qos = qos
        self.noLocal = noLocal
        self.retainAsPublished = retainAsPublished
        self.retainHandling = retainHandling
        self.userProperties = userProperties
    }

    /// A filter that a variable holds; the call that subscribes throws for a text that is no filter.
    public init(
        _ filter: some StringProtocol, qos: MQTTQoS = .atLeastOnce, noLocal: Bool = false,
        retainAsPublished: Bool = false, retainHandling: RetainHandling = .sendOnSubscribe,
        userProperties: [MQTTUserProperty] = []
    ) {
        self.init(
            MQTTTopicFilter(filter), qos: qos, noLocal: noLocal, retainAsPublished: retainAsPublished,
            retainHandling: retainHandling, userProperties: userProperties)
    }

    /// A filter at QoS 1 with default options.
    public init(stringLiteral value: String) { self.init(MQTTTopicFilter(value)) }

    func validate() throws(MQTTError) {
        try filter.validate()
        try Mosquitto.validate(userProperties)
        if noLocal, filter.isShared {
            throw .invalid(
                .invalidTopicFilter,
                "topic filter \(quoted(filter.filter)) is shared, for which noLocal is a protocol error (MQTT 5.0, 3.8.3.1)"
            )
        }
    }

    /// The subscription options byte of SUBSCRIBE.
    var options: UInt8 {
        (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling.rawValue << 4)
    }

    /// True if an option is set that MQTT 3.1.1 lacks.
    var needsVersion5: Bool { options != 0 || !userProperties.isEmpty || identifier != nil }

    /// True if both subscriptions may share a SUBSCRIBE. Options apply to each filter separately, but a broker that
    /// closes the connection over an option should fail only subscriptions with the same options.
    func sharesPacket(with other: MQTTSubscription) -> Bool {
        qos == other.qos && options == other.options && userProperties == other.userProperties
            && identifier == other.identifier
    }
}
