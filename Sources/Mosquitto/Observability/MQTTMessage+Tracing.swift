public import Tracing

/// Going on with the trace of whoever published a message.
extension MQTTMessage {
    /// The current context, with what the publisher's tracer wrote into the message's user properties: to be the parent of a span.
    public var serviceContext: ServiceContext { serviceContext(InstrumentationSystem.instrument) }

    private func serviceContext(_ instrument: some Instrument) -> ServiceContext {
        var context = ServiceContext.current ?? .topLevel
        instrument.extract(properties.userProperties, into: &context, using: UserPropertyExtractor())
        return context
    }

    /// Runs `body` in a span, "process" and the topic, that is a child of the publisher's.
    ///
    /// ```swift
    /// for await message in messages {
    ///     await message.withConsumerSpan { span in
    ///         span.attributes["rows"] = await store(message)
    ///     }
    /// }
    /// ```
    ///
    /// What `body` publishes, ``MQTTClient/respond(to:with:qos:properties:)`` included, belongs to the same trace. If it throws, the
    /// span has the error.
    ///
    /// - Parameter tracing: the tracer and the template; ``MQTTClientConfiguration/tracing`` of the client if that has its own. With
    ///   `nil` there is no span.
    public func withConsumerSpan<R>(
        _ tracing: MQTTTracing? = MQTTTracing(), isolation: isolated (any Actor)? = #isolation,
        _ body: (any Span) async throws -> R
    ) async rethrows -> R {
        guard let tracing, let tracer = tracing.activeTracer else {
            return try await body(NoOpTracer.NoOpSpan(context: .current ?? .topLevel))
        }
        let operation = MQTTTracing.Operation.process
        return try await tracer.withSpan(
            tracing.spanName(operation, topic), context: serviceContext(tracer), ofKind: operation.kind,
            isolation: isolation
        ) { span in
            tracing.describe(operation, topic: topic, size: payload.count, qos: qos, on: span)
            return try await body(span)
        }
    }
}
