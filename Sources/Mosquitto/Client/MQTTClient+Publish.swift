extension MQTTClient {
    /// Publishes a message and waits until the broker has taken it (`mosquitto_publish_v5`).
    ///
    /// QoS 0 returns when the packet was handed to the transport, QoS 1 at its PUBACK, QoS 2 at its PUBCOMP. While there is
    /// no connection the message waits, as ``MQTTClientConfiguration/queue`` says; it survives reconnects and rotations. A message
    /// with a Message Expiry Interval waits no longer than that, and is sent with what is left of it. A cancelled call may or
    /// may not have published.
    ///
    /// - Throws: ``MQTTError``: bad input at once; ``MQTTError/Code/operationRefused`` with the broker's reason code;
    ///   ``MQTTError/Code/endsConnection``;
    ///   ``MQTTError/Code/queueFull``, ``MQTTError/Code/notConnected`` and ``MQTTError/Code/messageExpired``;
    ///   ``MQTTError/Code/stopped`` if the client ends first; ``MQTTError/Code/cancelled``.
    @discardableResult
    public func publish(
        _ payload: some MQTTPayload, to topic: MQTTTopic, qos: MQTTQoS = .atLeastOnce, retain: Bool = false,
        properties: MQTTPublishProperties = .init()
    ) async throws(MQTTError) -> MQTTPublishResult {
        let publish = try makePublish(payload, to: topic, qos: qos, retain: retain, properties: properties)
        return try await send(publish)
    }

    /// Queues a message and returns at once: for high rates, and for callers that are not asynchronous.
    ///
    /// The message is sent like one of ``publish(_:to:qos:retain:properties:)``, but nobody learns how it ended; a refusal
    /// is logged. Throws ``MQTTError/Code/queueFull`` and ``MQTTError/Code/notConnected`` as ``MQTTClientConfiguration/queue`` says.
    public func enqueue(
        _ payload: some MQTTPayload, to topic: MQTTTopic, qos: MQTTQoS = .atLeastOnce, retain: Bool = false,
        properties: MQTTPublishProperties = .init()
    ) throws(MQTTError) {
        let publish = try makePublish(payload, to: topic, qos: qos, retain: retain, properties: properties)
        try post(publish)
    }

    func makePublish(
        _ payload: some MQTTPayload, to topic: MQTTTopic, qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties
    ) throws(MQTTError) -> OutgoingPublish {
        try topic.validate()
        let bytes = payload.mqttPayload
        if bytes.count + topic.name.utf8.count > 268_435_455 - 16 {
            throw .invalid(.payloadTooLarge, "payload has \(bytes.count) bytes; a packet has at most 268435455")
        }
        if !properties.isEmpty {
            if configuration.version == .v3_1_1 {
                throw .invalid(.unsupported, "publish properties need MQTT 5.0; set version to .v5_0 or leave them out")
            }
            try properties.validate()
        }
        return OutgoingPublish(topic: topic.name, payload: bytes, qos: qos, retain: retain, properties: properties)
    }
}
