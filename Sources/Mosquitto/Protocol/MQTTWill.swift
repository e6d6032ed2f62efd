// SPDX-License-Identifier: Apache-2.0

/// A will: the message that the broker publishes when the connection ends without a DISCONNECT (MQTT 5.0, section
/// 3.1.2.5; `mosquitto_will_set_v5`).
public struct MQTTWill: Sendable, Hashable {
    /// The topic to which the will is published.
    public var topic: MQTTTopic
    /// The payload, at most 65,535 bytes.
    public var payload: [UInt8]
    /// The quality of service of the publication.
    public var qos: MQTTQoS
    /// True if the broker retains the message.
    public var retain: Bool
    /// Number of seconds that the broker waits for the client to return before it publishes the will (MQTT 5.0, section
    /// 3.1.3.2.2). Default 0: no delay.
    public var delayInterval: UInt32
    /// Further properties, MQTT 5.0 only.
    public var properties: MQTTPublishProperties

    public init(
        topic: MQTTTopic, payload: some MQTTPayload, qos: MQTTQoS = .atLeastOnce, retain: Bool = false,
        delayInterval: UInt32 = 0, properties: MQTTPublishProperties = .init()
    ) {
        self.topic = topic
        self.payload = payload.mqttPayload
        self.qos = qos
        self.retain = retain
        self.delayInterval = delayInterval
        self.properties = properties
    }

    func validate() throws(MQTTError) {
        try topic.validate()
        if payload.count > 65_535 {
            throw .invalid(.payloadTooLarge, "will payload has \(payload.count) bytes; at most 65535 are allowed")
        }
        try properties.validate()
    }
}
