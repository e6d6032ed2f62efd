// SPDX-License-Identifier: Apache-2.0

#if Tracing
public import Tracing

/// Continuation of the publisher's trace.
extension MQTTMessage {
    /// The current context, extended by the publisher's trace context from the user properties of the message. Use it
    /// as the parent of a span.
    public var serviceContext: ServiceContext { serviceContext(InstrumentationSystem.instrument) }

    private func serviceContext(_ instrument: some Instrument) -> ServiceContext {
        var context = ServiceContext.current ?? .topLevel
        instrument.extract(properties.userProperties, into: &context, using: UserPropertyExtractor())
        return context
    }

    /// Runs `body` in a span that is named "process" and the topic, and is a child of the publisher's span.
    ///
    /// ```swift
    /// for await message in messages {
    ///     await message.withConsumerSpan { span in
    ///         span.attributes["rows"] = await countRows(message)
    ///     }
    /// }
    /// ```
    ///
    /// Messages that `body` publishes, also by ``MQTTClient/respond(to:with:qos:properties:)``, belong to the same
    /// trace. If `body` throws, the span records the error.
    ///
    /// - Parameters:
    ///   - tracing: the tracer and the template. Pass ``MQTTClientConfiguration/tracing`` if the client has its own.
    ///     With `nil` there is no span.
    ///   - isolation: the actor on which `body` runs. Default: the caller's.
    ///   - body: the closure that handles the message.
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
#endif
