extension MQTTClient {
    /// Publishes a message and waits until the broker has taken it (`mosquitto_publish_v5`).
    ///
    /// QoS 0 returns when the kernel has taken the whole packet, QoS 1 at its PUBACK, QoS 2 at its PUBCOMP. While there is no
    /// connection the message waits, as ``MQTTClientConfiguration/queue`` says; it survives reconnects and rotations. Of QoS 0, a
    /// message is sent again on the next connection if bytes of it had not left this process; whatever the kernel had may be lost
    /// with the connection. A message with a Message Expiry Interval waits no longer than that, and is sent with the time that is left;
    /// a message that was sent, and whose connection ended before the acknowledgement, may have reached the broker although the call
    /// throws. The same is true of a cancelled call.
    ///
    /// - Throws: ``MQTTError``: bad input at once, ``MQTTError/Code/payloadTooLarge`` for a packet of more than 268,435,455 bytes;
    ///   ``MQTTError/Code/operationRefused`` with the broker's reason code; ``MQTTError/Code/endsConnection``;
    ///   ``MQTTError/Code/queueFull``, ``MQTTError/Code/notConnected`` and ``MQTTError/Code/messageExpired``;
    ///   ``MQTTError/Code/stopped`` if the client ends first; ``MQTTError/Code/cancelled``.
    @discardableResult
    public nonisolated(nonsending) func publish(
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
        if !properties.isEmpty {
            if configuration.version == .v3_1_1 {
                throw .invalid(.unsupported, "publish properties need MQTT 5.0; set version to .v5_0 or leave them out")
            }
            try properties.validate()
        }
        let length = PublishEncoder.maximumLength(topic: topic.name, payload: bytes.count, properties)
        if length > VariableByteInteger.maximum {
            throw .invalid(
                .payloadTooLarge,
                "payload, topic and properties are a packet of up to \(length) bytes; at most 268435455 are allowed")
        }
        return OutgoingPublish(topic: topic.name, payload: bytes, qos: qos, retain: retain, properties: properties)
    }
}
