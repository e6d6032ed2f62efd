/// An application message as it was received (MQTT 5.0, section 3.3).
public struct MQTTMessage: Sendable, Hashable {
    /// The topic name to which it was published.
    public var topic: String
    /// The payload, uninterpreted.
    public var payload: [UInt8]
    /// The quality of service of the delivery, which is at most that of the subscription.
    public var qos: MQTTQoS
    /// Whether it is a retained message that the broker held (section 3.3.1.3).
    public var retain: Bool
    /// The properties of MQTT 5.0; empty with MQTT 3.1.1.
    public var properties: MQTTPublishProperties

    public init(
        topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool = false, properties: MQTTPublishProperties = .init()
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
    }

    /// The payload as text; invalid UTF-8 is replaced by U+FFFD.
    public var payloadString: String { String(decoding: payload, as: UTF8.self) }
}
