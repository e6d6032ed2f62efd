public import Tracing

/// How a client takes part in distributed tracing, by [swift-distributed-tracing](https://github.com/apple/swift-distributed-tracing).
///
/// Each publish and each request is a span. With MQTT 5.0 its context goes along in user properties, as the
/// [W3C](https://w3c.github.io/trace-context-mqtt/) names them: `traceparent` and `tracestate`, or what else the tracer writes.
/// ``MQTTMessage/withConsumerSpan(_:isolation:_:)`` goes on with it where the message arrives. MQTT 3.1.1 has no place for it: there
/// are spans, and each side has a trace of its own.
///
/// Where the process has bootstrapped no tracer, and gives none here, there are no spans and nothing is added to messages.
public struct MQTTTracing: Sendable {
    /// Who makes the spans; `nil`, the default, for the tracer of the process, or of `withTracer` around the call.
    public var tracer: (any Tracer)?
    /// Whether messages carry the context of their span: whoever subscribes can read it. Default `true`.
    public var propagatesContext = true
    /// The topic without its variable parts, such as "devices/+/state" for "devices/17/state": the name of a span should be one
    /// of few. `nil`, the default, and an answer of `nil`, are for topics that are few already.
    public var template: (@Sendable (_ topic: String) -> String?)?

    public init(tracer: (any Tracer)? = nil) { self.tracer = tracer }

    /// The tracer, if there is one that does something.
    var activeTracer: (any Tracer)? {
        if let tracer { return tracer }
        if InstrumentationSystem.instrument is NoOpInstrument { return nil }
        let tracer = InstrumentationSystem.tracer
        return tracer is NoOpTracer ? nil : tracer
    }

    /// What a span is about, by the words of the OpenTelemetry conventions for messaging.
    struct Operation {
        let name: String
        let type: String
        let kind: SpanKind

        static let publish = Operation(name: "publish", type: "send", kind: .producer)
        /// The span ends when the message is queued.
        static let enqueue = Operation(name: "enqueue", type: "create", kind: .producer)
        /// The caller waits for somebody's answer.
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

/// Puts the context of a span into user properties, in the place of an older one.
struct UserPropertyInjector: Injector {
    func inject(_ value: String, forKey key: String, into properties: inout [MQTTUserProperty]) {
        properties.removeAll { $0.name == key }
        // A tracer's mistake must not cost the message.
        guard (try? validateString(key, "")) != nil, (try? validateString(value, "")) != nil else { return }
        properties.append(MQTTUserProperty(key, value))
    }
}

/// Reads it again. A name that comes twice is joined as HTTP joins its headers: a list of `tracestate` goes on with it, and two
/// `traceparent` are none that counts.
struct UserPropertyExtractor: Extractor {
    func extract(key: String, from properties: [MQTTUserProperty]) -> String? {
        let values = properties.lazy.filter { $0.name == key }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }
}
