// SPDX-License-Identifier: Apache-2.0

#if Tracing
import Tracing

/// Spans for the operations of a client.
extension MQTTClient {
    /// Publishes a message in a span that ends with its acknowledgement.
    nonisolated(nonsending) func send(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        guard let span = startSpan(.publish, publish) else { return try await session.publish(publish) }
        defer { span.end() }
        do throws(MQTTError) {
            let result = try await session.publish(publish)
            span.attributes["mqtt.reason_code"] = Int(result.reasonCode.rawValue)
            return result
        } catch {
            span.fail(error)
            throw error
        }
    }

    /// Enqueues a message in a span that ends when the message is queued.
    func post(_ publish: OutgoingPublish) throws(MQTTError) {
        guard let span = startSpan(.enqueue, publish) else { return try session.enqueue(publish) }
        defer { span.end() }
        do throws(MQTTError) {
            try session.enqueue(publish)
        } catch {
            span.fail(error)
            throw error
        }
    }

    /// Sends a request in a span that ends with its response.
    func ask(
        _ publish: OutgoingPublish, _ correlation: [UInt8], timeout: Duration
    ) async throws(MQTTError) -> MQTTMessage {
        guard let span = startSpan(.request, publish) else {
            return try await responses.request(publish, correlation, timeout: timeout).get()
        }
        defer { span.end() }
        do throws(MQTTError) {
            return try await responses.request(publish, correlation, timeout: timeout).get()
        } catch {
            span.fail(error)
            throw error
        }
    }

    /// Returns `nil` if tracing is off.
    private func startSpan(_ operation: MQTTTracing.Operation, _ publish: OutgoingPublish) -> (any Span)? {
        guard let tracing = configuration.tracing, let tracer = tracing.activeTracer else { return nil }
        return start(operation, publish, tracing, tracer)
    }

    private func start(
        _ operation: MQTTTracing.Operation, _ publish: OutgoingPublish, _ tracing: MQTTTracing, _ tracer: some Tracer
    ) -> any Span {
        let span = tracer.startSpan(tracing.spanName(operation, publish.topic), ofKind: operation.kind)
        tracing.describe(
            operation, topic: publish.topic, size: publish.payload.count, qos: publish.qos, on: span)
        if span.isRecording {
            span.attributes["messaging.client.id"] = configuration.clientID
            if case .connected(let info) = shared.state {
                span.attributes["server.address"] = info.endpoint.host
                if !info.endpoint.isUnixSocket { span.attributes["server.port"] = info.endpoint.port }
            }
        }
        if configuration.version == .v5_0, tracing.propagatesContext {
            let own = publish.properties
            tracer.inject(span.context, into: &publish.properties.userProperties, using: UserPropertyInjector())
            // The context must not make a message too large to send.
            let length = PublishEncoder.maximumLength(
                topic: publish.topic, payload: publish.payload.count, publish.properties)
            if length > VariableByteInteger.maximum { publish.properties = own }
        }
        return span
    }
}

extension Span {
    func fail(_ error: MQTTError) {
        attributes["error.type"] = error.code.name
        recordError(error)
        setStatus(SpanStatus(code: .error, message: error.message))
    }
}
#else
/// Without the trait `Tracing` operations have no spans.
extension MQTTClient {
    nonisolated(nonsending) func send(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        try await session.publish(publish)
    }

    func post(_ publish: OutgoingPublish) throws(MQTTError) { try session.enqueue(publish) }

    func ask(
        _ publish: OutgoingPublish, _ correlation: [UInt8], timeout: Duration
    ) async throws(MQTTError) -> MQTTMessage {
        try await responses.request(publish, correlation, timeout: timeout).get()
    }
}
#endif
