/// A topic filter with the options of its subscription (MQTT 5.0, section 3.8.3.1).
public struct MQTTSubscription: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// When the broker sends retained messages (section 3.8.3.1, Retain Handling).
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
    /// Whether messages that this client published itself are left out; MQTT 5.0 only.
    public var noLocal: Bool
    /// Whether the retain flag of a forwarded message stays as it was published; MQTT 5.0 only.
    public var retainAsPublished: Bool
    /// When retained messages are sent; MQTT 5.0 only.
    public var retainHandling: RetainHandling
    /// User properties of its SUBSCRIBE (section 3.8.2.1.3); MQTT 5.0 only.
    public var userProperties: [MQTTUserProperty]

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

    /// Whether an option is set that MQTT 3.1.1 does not have.
    var needsVersion5: Bool { options != 0 || !userProperties.isEmpty }

    /// Whether one SUBSCRIBE carries both. Options are of each filter, but one that a broker closes over should be alone with its like.
    func sharesPacket(with other: MQTTSubscription) -> Bool {
        qos == other.qos && options == other.options && userProperties == other.userProperties
    }
}
