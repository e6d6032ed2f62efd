// SPDX-License-Identifier: Apache-2.0

/// A received application message (MQTT 5.0, section 3.3).
public struct MQTTMessage: Sendable, Hashable {
    /// The topic name to which the message was published.
    public var topic: String
    /// The payload, uninterpreted.
    public var payload: [UInt8]
    /// The quality of service of the delivery, which is at most that of the subscription.
    public var qos: MQTTQoS
    /// True if the broker sent a retained message (section 3.3.1.3).
    public var retain: Bool
    /// The MQTT 5.0 properties; empty with MQTT 3.1.1.
    public var properties: MQTTPublishProperties {
        get { extra?.properties ?? .init() }
        set { extra = newValue.isEmpty ? nil : Extra(newValue) }
    }
    /// The packet identifier of the delivery (section 2.2.1); `nil` for QoS 0, and for a message that was not received.
    ///
    /// The broker reuses the identifier after the acknowledgement. Comparisons of messages ignore it.
    public internal(set) var packetIdentifier: UInt16? {
        get { rawPacketIdentifier == 0 ? nil : rawPacketIdentifier }
        set { rawPacketIdentifier = newValue ?? 0 }
    }
    /// The topic alias of the delivery (section 3.3.2.3.4), `nil` if the broker used none. Comparisons ignore it.
    package var topicAlias: UInt16? {
        get { rawTopicAlias == 0 ? nil : rawTopicAlias }
        set { rawTopicAlias = newValue ?? 0 }
    }
    /// 0 for none, which is no packet identifier. An optional would make every message larger.
    private var rawPacketIdentifier: UInt16 = 0
    private var rawTopicAlias: UInt16 = 0
    /// The DUP flag of the delivery (section 3.3.1.1). Comparisons of messages ignore it.
    var isRepetition = false
    /// True if the message has too many properties: it is acknowledged, and no consumer receives it.
    var isDiscarded = false

    /// Boxed, since most messages have no properties and a small struct is cheaper to move.
    private final class Extra: Sendable {
        let properties: MQTTPublishProperties
        let memorySize: Int

        init(_ properties: MQTTPublishProperties) {
            self.properties = properties
            memorySize = MemorySize.of(properties)
        }
    }
    private var extra: Extra?

    /// The memory that the message takes, in bytes: what counts in a buffer.
    var memorySize: Int {
        MemoryLayout<MQTTMessage>.stride + MemorySize.of(topic: topic, payload: payload) + (extra?.memorySize ?? 0)
    }

    var subscriptionIdentifiers: [UInt32] { extra?.properties.subscriptionIdentifiers ?? [] }

    public init(
        topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool = false, properties: MQTTPublishProperties = .init()
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        extra = properties.isEmpty ? nil : Extra(properties)
    }

    /// The payload as text; invalid UTF-8 is replaced by U+FFFD.
    public var payloadString: String { String(decoding: payload, as: UTF8.self) }

    public static func == (first: MQTTMessage, second: MQTTMessage) -> Bool {
        first.topic == second.topic && first.payload == second.payload && first.qos == second.qos
            && first.retain == second.retain && first.properties == second.properties
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(topic)
        hasher.combine(payload)
        hasher.combine(qos)
        hasher.combine(retain)
        hasher.combine(properties)
    }
}
