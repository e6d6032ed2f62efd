// SPDX-License-Identifier: Apache-2.0

#if Tracing
public import Tracing

/// The configuration of a client's distributed tracing with
/// [swift-distributed-tracing](https://github.com/apple/swift-distributed-tracing).
///
/// Each publish and each request is a span. With MQTT 5.0 the message carries the context in user properties, with the
/// names of the [W3C](https://w3c.github.io/trace-context-mqtt/), `traceparent` and `tracestate`, or others that the
/// tracer writes. ``MQTTMessage/withConsumerSpan(_:isolation:_:)`` continues the trace at the receiver. MQTT 3.1.1
/// messages cannot carry a context: each side has spans in a trace of its own.
///
/// If the process has bootstrapped no tracer and `tracer` is `nil`, there are no spans and messages stay unchanged.
public struct MQTTTracing: Sendable {
    /// The tracer that creates the spans. Default `nil`: the tracer of the process, or of `withTracer` around the call.
    public var tracer: (any Tracer)?
    /// True if messages carry the context of their span, which every subscriber can read. Default `true`.
    public var propagatesContext = true
    /// A closure that replaces the variable parts of a topic, such as "devices/+/state" for "devices/17/state", since
    /// span names should have few values. Default `nil`: the topic itself, which is also used if the closure returns
    /// `nil`.
    public var template: (@Sendable (_ topic: String) -> String?)?

    public init(tracer: (any Tracer)? = nil) { self.tracer = tracer }

    /// The tracer in use; `nil` if there is none or it does nothing.
    var activeTracer: (any Tracer)? {
        if let tracer { return tracer }
        if InstrumentationSystem.instrument is NoOpInstrument { return nil }
        let tracer = InstrumentationSystem.tracer
        return tracer is NoOpTracer ? nil : tracer
    }

    /// The operation of a span, in the terms of the OpenTelemetry conventions for messaging.
    struct Operation {
        let name: String
        let type: String
        let kind: SpanKind

        static let publish = Operation(name: "publish", type: "send", kind: .producer)
        /// The span ends when the message is queued.
        static let enqueue = Operation(name: "enqueue", type: "create", kind: .producer)
        /// The span ends with the response.
        static let request = Operation(name: "request", type: "send", kind: .client)
        static let process = Operation(name: "process", type: "process", kind: .consumer)
    }

    func spanName(_ operation: Operation, _ topic: String) -> String {
        "\(operation.name) \(template?(topic) ?? topic)"
    }

    func describe(_ operation: Operation, topic: String, size: Int, qos: MQTTQoS, on span: some Span) {
        guard span.isRecording else { return }
        span.updateAttributes { attributes in
            attributes["messaging.system"] = "mqtt"
            attributes["messaging.operation.name"] = operation.name
            attributes["messaging.operation.type"] = operation.type
            attributes["messaging.destination.name"] = topic
            if let template = template?(topic) { attributes["messaging.destination.template"] = template }
            attributes["messaging.message.body.size"] = size
            attributes["mqtt.qos"] = Int(qos.rawValue)
        }
    }
}

/// Writes the context of a span into user properties, replacing an earlier one.
struct UserPropertyInjector: Injector {
    func inject(_ value: String, forKey key: String, into properties: inout [MQTTUserProperty]) {
        properties.removeAll { $0.name == key }
        // An invalid value from a tracer must not make the message fail.
        guard (try? validateString(key, "")) != nil, (try? validateString(value, "")) != nil else { return }
        properties.append(MQTTUserProperty(key, value))
    }
}

/// Reads a context from user properties. Values of a repeated name are joined as in HTTP headers: a `tracestate` list
/// is continued, and two `traceparent` values are invalid.
struct UserPropertyExtractor: Extractor {
    func extract(key: String, from properties: [MQTTUserProperty]) -> String? {
        let values = properties.lazy.filter { $0.name == key }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }
}
#endif
