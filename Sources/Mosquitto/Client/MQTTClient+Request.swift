// SPDX-License-Identifier: Apache-2.0

extension MQTTClient {
    /// Publishes a request and waits for its response (MQTT 5.0, section 4.10).
    ///
    /// The request carries a Response Topic, ``MQTTConnectRequests/responseTopic``, and unique Correlation Data. The
    /// first request subscribes the client to that topic until the client stops; the broker must allow the
    /// subscription.
    ///
    /// - Parameters:
    ///   - payload: the payload of the request.
    ///   - topic: the topic on which the responder listens.
    ///   - qos: the QoS of the request; the responder determines the QoS of the response.
    ///   - properties: the request's properties. This call sets `responseTopic` and `correlationData`.
    ///   - timeout: the time limit for the whole call: the wait for a connection, the request and the response.
    /// - Throws: ``MQTTError``: ``MQTTError/Code/timeout``, whose message says so if the broker reported "no matching
    ///   subscribers" for the request; ``MQTTError/Code/operationRefused`` if the broker refuses the subscription or
    ///   the request; ``MQTTError/Code/unsupported`` with MQTT 3.1.1; any error of
    ///   ``publish(_:to:qos:retain:properties:)``.
    public func request(
        _ payload: some MQTTPayload, to topic: some MQTTTopicConvertible, qos: MQTTQoS = .atLeastOnce,
        properties: MQTTPublishProperties = .init(), timeout: Duration = .seconds(30)
    ) async throws(MQTTError) -> MQTTMessage {
        let correlation = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        var properties = properties
        properties.responseTopic = configuration.effectiveResponseTopic
        properties.correlationData = correlation
        let publish = try makePublish(payload, to: topic.mqttTopic, qos: qos, retain: false, properties: properties)
        return try await ask(publish, correlation, timeout: timeout)
    }

    /// Publishes the response to a request, on its Response Topic and with its Correlation Data.
    ///
    /// - Throws: ``MQTTError/Code/invalidTopic`` if the message has no Response Topic; any error of
    ///   ``publish(_:to:qos:retain:properties:)``.
    @discardableResult
    public func respond(
        to request: MQTTMessage, with payload: some MQTTPayload, qos: MQTTQoS = .atLeastOnce,
        properties: MQTTPublishProperties = .init()
    ) async throws(MQTTError) -> MQTTPublishResult {
        guard let topic = request.properties.responseTopic else {
            throw .invalid(
                .invalidTopic, "the message on \(quoted(request.topic)) has no response topic; it is no request")
        }
        var properties = properties
        properties.correlationData = request.properties.correlationData
        return try await publish(payload, to: topic, qos: qos, properties: properties)
    }
}
