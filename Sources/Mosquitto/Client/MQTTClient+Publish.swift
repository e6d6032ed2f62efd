// SPDX-License-Identifier: Apache-2.0

extension MQTTClient {
    /// Publishes a message and waits until the broker has received it (`mosquitto_publish_v5`).
    ///
    /// A publish of QoS 0 returns when the kernel has accepted the whole packet, QoS 1 at the PUBACK, QoS 2 at the
    /// PUBCOMP. Without a connection the message waits, as configured by ``MQTTPublishingLimits/queue``; it survives
    /// reconnects and rotations. A message of QoS 0 is resent on the next connection if some of its bytes had not left
    /// the process; bytes that the kernel has accepted may be lost with the connection. A message with a Message Expiry
    /// Interval waits no longer than the interval, and is sent with the remaining time. A message that was sent, and
    /// whose connection ended before the acknowledgement, may have reached the broker although the call throws; so may
    /// the message of a cancelled call.
    ///
    /// - Throws: ``MQTTError``: for invalid input at once; ``MQTTError/Code/payloadTooLarge`` for a packet of more than
    ///   268,435,455 bytes; ``MQTTError/Code/operationRefused`` with the broker's reason code;
    ///   ``MQTTError/Code/endsConnection``; ``MQTTError/Code/queueFull``, ``MQTTError/Code/notConnected`` and
    ///   ``MQTTError/Code/messageExpired``; ``MQTTError/Code/stopped`` if the client stops first;
    ///   ``MQTTError/Code/cancelled``.
    @discardableResult
    public nonisolated(nonsending) func publish(
        _ payload: some MQTTPayload, to topic: some MQTTTopicConvertible, qos: MQTTQoS = .atLeastOnce,
        retain: Bool = false,
        properties: MQTTPublishProperties = .init()
    ) async throws(MQTTError) -> MQTTPublishResult {
        let publish = try makePublish(payload, to: topic.mqttTopic, qos: qos, retain: retain, properties: properties)
        return try await send(publish)
    }

    /// Queues a message and returns immediately: for high rates, and for synchronous callers.
    ///
    /// The client sends the message as ``publish(_:to:qos:retain:properties:)`` does, but does not report the outcome;
    /// a refusal is logged. Throws ``MQTTError/Code/queueFull`` and ``MQTTError/Code/notConnected`` as configured by
    /// ``MQTTPublishingLimits/queue``.
    public func enqueue(
        _ payload: some MQTTPayload, to topic: some MQTTTopicConvertible, qos: MQTTQoS = .atLeastOnce,
        retain: Bool = false,
        properties: MQTTPublishProperties = .init()
    ) throws(MQTTError) {
        let publish = try makePublish(payload, to: topic.mqttTopic, qos: qos, retain: retain, properties: properties)
        try post(publish)
    }

    func makePublish(
        _ payload: some MQTTPayload, to topic: MQTTTopic, qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties
    ) throws(MQTTError) -> OutgoingPublish {
        try topic.validate()
        let bytes = payload.mqttPayload
        if !properties.isEmpty {
            if configuration.version != .v5_0 {
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
        if let platform = configuration.platform {
            try platform.limits.check(topic.name, bytes.count, qos: qos, retain: retain)
        }
        return OutgoingPublish(topic: topic.name, payload: bytes, qos: qos, retain: retain, properties: properties)
    }
}
