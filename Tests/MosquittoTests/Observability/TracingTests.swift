// SPDX-License-Identifier: Apache-2.0

import InMemoryTracing
import Mosquitto
import MosquittoTesting
import Testing
import Tracing
import Turns

@Suite("A trace goes from who publishes to who receives", .turn(.units))
struct TracingTests {
    private let tracer = W3CTracer()

    private func configuration(_ broker: ScriptedBroker, _ version: MQTTVersion = .v5_0) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
        configuration.version = version
        configuration.clientID = "traced"
        configuration.tracing = MQTTTracing(tracer: tracer)
        return configuration
    }

    /// The first message that arrives for "a/#" after `publish`.
    private func received(
        _ configuration: MQTTClientConfiguration, _ publish: @escaping @Sendable (MQTTClient) async throws -> Void
    ) async throws -> MQTTMessage {
        let message = try await withMQTTClient(configuration, logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("a/#", qos: .exactlyOnce)) { messages in
                try await publish(client)
                return await messages.first { _ in true }
            }
        }
        return try #require(message)
    }

    private func span(_ name: String) throws -> FinishedInMemorySpan {
        let spans = tracer.finishedSpans.filter { $0.operationName == name }
        try #require(spans.count == 1, "\(tracer.finishedSpans.map(\.operationName))")
        return spans[0]
    }

    @Test func `the consumer's span is a child of the publisher's`() async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker)
        let message = try await received(configuration) { client in
            let properties = MQTTPublishProperties(
                userProperties: [.init("first", "1"), .init("traceparent", "stale"), .init("second", "2")])
            try await client.publish("21.5", to: "a/b", qos: .exactlyOnce, properties: properties)
        }
        let sent = try span("publish a/b")
        #expect(sent.kind == .producer && sent.parentSpanID == nil && sent.errors.isEmpty)
        #expect(
            message.properties.userProperties == [
                .init("first", "1"), .init("second", "2"),
                .init("traceparent", "00-\(sent.traceID)-\(sent.spanID)-01"), .init("tracestate", "test=1"),
            ])

        let result = await message.withConsumerSpan(configuration.tracing) { span in
            span.attributes["rows"] = 3
            return ServiceContext.current?.inMemorySpanContext?.traceID
        }
        #expect(result == sent.traceID)
        let processed = try span("process a/b")
        #expect(processed.kind == .consumer && processed.parentSpanID == sent.spanID)
        #expect(processed.attributes.get("rows") == .int64(3))
        for (span, operation, type) in [(sent, "publish", "send"), (processed, "process", "process")] {
            #expect(span.attributes.get("messaging.system") == "mqtt")
            #expect(span.attributes.get("messaging.operation.name") == .string(operation))
            #expect(span.attributes.get("messaging.operation.type") == .string(type))
            #expect(span.attributes.get("messaging.destination.name") == "a/b")
            #expect(span.attributes.get("messaging.message.body.size") == .int64(4))
            #expect(span.attributes.get("mqtt.qos") == .int64(2))
        }
        #expect(sent.attributes.get("messaging.client.id") == "traced")
        #expect(sent.attributes.get("server.address") == "127.0.0.1")
        #expect(sent.attributes.get("server.port") == .int64(Int64(broker.port)))
        await broker.stop()
    }

    @Test func `with MQTT 3_1_1 there are spans, and nothing is propagated`() async throws {
        let broker = try await ScriptedBroker.start()
        let message = try await received(configuration(broker, .v3_1_1)) { try await $0.publish("x", to: "a/b") }
        #expect(message.properties.isEmpty)
        _ = try span("publish a/b")
        await message.withConsumerSpan(MQTTTracing(tracer: tracer)) { _ in }
        #expect(try span("process a/b").parentSpanID == nil)
        await broker.stop()
    }

    @Test func `propagation can be off, and a template names the span`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(broker)
        configuration.tracing?.propagatesContext = false
        configuration.tracing?.template = { $0.hasPrefix("a/") ? "a/+" : nil }
        let message = try await received(configuration) { try await $0.publish("x", to: "a/b") }
        #expect(message.properties.isEmpty)
        let sent = try span("publish a/+")
        #expect(sent.attributes.get("messaging.destination.template") == "a/+")
        #expect(sent.attributes.get("messaging.destination.name") == "a/b")
        await broker.stop()
    }

    @Test func `an enqueued message carries its context too`() async throws {
        let broker = try await ScriptedBroker.start()
        let message = try await received(configuration(broker)) { try $0.enqueue("x", to: "a/b") }
        let queued = try span("enqueue a/b")
        #expect(queued.kind == .producer)
        #expect(message.properties.userProperties.first?.value == "00-\(queued.traceID)-\(queued.spanID)-01")
        await broker.stop()
    }

    @Test func `a request, its handling and its response are one trace`() async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker)
        try await withMQTTClient(configuration, logger: quiet) { client in
            try await client.subscribe(to: "echo") { requests in
                async let answered: Void = {
                    for await request in requests {
                        try await request.withConsumerSpan(configuration.tracing) { _ in
                            _ = try await client.respond(to: request, with: "re: " + request.payloadString)
                        }
                        break
                    }
                }()
                let response = try await client.request("x", to: "echo")
                #expect(response.payloadString == "re: x")
                try await answered
            }
        }
        let asked = try span("request echo")
        #expect(asked.kind == .client)
        let processed = try span("process echo")
        #expect(processed.parentSpanID == asked.spanID)
        let responded = try span("publish responses/traced")
        #expect(responded.parentSpanID == processed.spanID)
        #expect(Set([asked, processed, responded].map(\.traceID)).count == 1)
        await broker.stop()
    }

    @Test func `a publish that fails says so in its span`() async throws {
        let client = MQTTClient(configuration(try await ScriptedBroker.start()), logger: quiet)
        try? await client.shutdown()
        let error = await #expect(throws: MQTTError.self) { try await client.publish("x", to: "a") }
        #expect(error?.code == .stopped)
        let failed = try span("publish a")
        #expect(failed.attributes.get("error.type") == "stopped")
        #expect(failed.errors.count == 1 && failed.status?.code == .error)
    }

    @Test func `what a handler throws is in the consumer's span, and goes on`() async throws {
        struct Broken: Error {}
        let message = MQTTMessage(topic: "a", payload: [], qos: .atMostOnce)
        await #expect(throws: Broken.self) {
            try await message.withConsumerSpan(MQTTTracing(tracer: tracer)) { _ in throw Broken() }
        }
        #expect(try span("process a").errors.count == 1)
    }

    @Test func `the tracer around the call is used, and without one nothing is added`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(broker)
        configuration.tracing = MQTTTracing()
        let tracer = tracer
        let traced = try await received(configuration) { client in
            try await withTracer(tracer) { _ = try await client.publish("x", to: "a/b") }
        }
        #expect(traced.properties.userProperties.count == 2)
        let context = withTracer(tracer) { traced.serviceContext }
        #expect(context.inMemorySpanContext?.traceID == (try span("publish a/b").traceID))

        let plain = try await received(configuration) { try await $0.publish("x", to: "a/b") }
        #expect(plain.properties.isEmpty)
        configuration.tracing = nil
        let none = try await received(configuration) { client in
            try await withTracer(tracer) { _ = try await client.publish("x", to: "a/b") }
        }
        #expect(none.properties.isEmpty)
        await broker.stop()
    }

    @Test func `a name that comes twice is read as HTTP reads its headers`() {
        var message = MQTTMessage(topic: "a", payload: [], qos: .atMostOnce)
        let trace = String(repeating: "1", count: 32)
        let span = String(repeating: "2", count: 16)
        message.properties.userProperties = [.init("traceparent", "00-\(trace)-\(span)-01")]
        #expect(withTracer(tracer) { message.serviceContext.inMemorySpanContext?.spanID } == span)
        message.properties.userProperties.append(.init("traceparent", "00-\(trace)-\(span)-01"))
        #expect(withTracer(tracer) { message.serviceContext.inMemorySpanContext } == nil)
    }
}
