// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("No packet is longer than 268,435,455 bytes (core 23)", .turn(.units), .serialized)
struct PacketLengthTests {
    private let client = MQTTClient(MQTTClientConfiguration(host: "localhost", tls: nil), logger: quiet)

    /// User properties of this size in a packet, a multiple of 100,000.
    private func properties(_ size: Int) -> MQTTPublishProperties {
        let property = MQTTUserProperty(
            String(repeating: "n", count: 49_995), String(repeating: "v", count: 50_000))
        return MQTTPublishProperties(userProperties: Array(repeating: property, count: size / 100_000))
    }

    @Test func `the size of properties is known before they are encoded`() {
        let properties = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 9, contentType: "type", responseTopic: "topic",
            correlationData: [1, 2], userProperties: [MQTTUserProperty("key", "ü"), MQTTUserProperty("", "")])
        let publish = OutgoingPublish(
            topic: "t", payload: [], qos: .atMostOnce, retain: false, properties: properties)
        var encoder = PublishEncoder(.v5_0)
        let isAdded = encoder.append(publish, .init(expiry: 9), limit: nil)
        #expect(isAdded)
        // Before them: type, Remaining Length, topic, and their own length.
        #expect(properties.encodedSize == encoder.bytes.count - 6)
        #expect(MQTTPublishProperties().encodedSize == 0)
    }

    @Test func `a payload with properties that come to more is bad input`() throws {
        let payload = [UInt8](repeating: 0, count: 268_400_000)
        _ = try client.makePublish(payload, to: "t", qos: .atLeastOnce, retain: false, properties: .init())
        let error = #expect(throws: MQTTError.self) {
            try client.makePublish(payload, to: "t", qos: .atLeastOnce, retain: false, properties: properties(100_000))
        }
        #expect(error?.code == .payloadTooLarge)
        #expect(error?.message.contains("268500012") == true)
        // If passed to the encoder anyway, the message is not encoded.
        let publish = OutgoingPublish(
            topic: "t", payload: payload, qos: .atLeastOnce, retain: false, properties: properties(100_000))
        var encoder = PublishEncoder(.v5_0)
        let isAdded = encoder.append(publish, .init(packetID: 1), limit: nil)
        #expect(!isAdded)
        #expect(encoder.bytes.isEmpty)
    }

    @Test func `a SUBSCRIBE or UNSUBSCRIBE that comes to more is refused before it is written`() throws {
        let packet = [UInt8](repeating: 0, count: 268_435_456)
        let subscriber = Subscriber(
            .init(version: .v5_0, clientID: "test", keepsFilters: false, maximumFilters: 1), PacketIdentifiers(),
            logger: quiet)
        let error = #expect(throws: MQTTError.self) { try subscriber.makePacket("SUBSCRIBE") { _, _ in packet } }
        #expect(error?.reasonCode == .packetTooLarge)
        _ = try subscriber.makePacket("SUBSCRIBE") { _, _ in Array(packet.prefix(1_000)) }
    }

    @Test func `the context of a span is left out where it would be too much`() async throws {
        var configuration = client.configuration
        configuration.tracing = MQTTTracing(tracer: W3CTracer())
        configuration.publishing.queue = MQTTQueuePolicy(maximumMessages: 2)
        let client = MQTTClient(configuration, logger: quiet)
        let payload = [UInt8](repeating: 0, count: 268_435_400)
        try client.enqueue(payload, to: "t")
        let publish = try #require(client.session.shared.queue.takeAll(1).first)
        #expect(publish.properties.userProperties.isEmpty)
        try client.enqueue("x", to: "t")
        let small = try #require(client.session.shared.queue.takeAll(1).first)
        #expect(small.properties.userProperties.map(\.name) == ["traceparent", "tracestate"])
    }
}
