// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension WireClient {
    /// 03, broker to client, and 11, received properties: messages without a subscription.
    static let receiving: [String: Program] = [
        "03-publish-b2c-qos1": { try await receive($0, "publish-qos1-test", "pub/qos1/receive", .atLeastOnce) },
        "03-publish-b2c-qos1-unexpected-puback": {
            try await stay(configuration($0, "publish-qos1-test", keepAlive: 5))
        },
        "03-publish-b2c-qos2": { try await receive($0, "publish-qos2-test", "pub/qos2/receive", .exactlyOnce) },
        "03-publish-b2c-qos2-len": { try await receive($0, "publish-qos2-test", "len/qos2/test", .exactlyOnce, .v5_0) },
        "03-publish-b2c-qos2-unexpected-pubcomp": {
            try await stay(configuration($0, "publish-qos2-test", keepAlive: 5))
        },
        "03-publish-b2c-qos2-unexpected-pubrel": { try await stay(configuration($0, "publish-qos2-test")) },
        "11-prop-recv-qos0": { try await receiveProperties($0, .atMostOnce) },
        "11-prop-recv-qos1": { try await receiveProperties($0, .atLeastOnce) },
        "11-prop-recv-qos2": { try await receiveProperties($0, .exactlyOnce) },
    ]

    /// Checks a message, and stays until the driver ends the connection; with MQTT 5.0 it disconnects.
    private static func receive(
        _ port: Int, _ clientID: String, _ topic: String, _ qos: MQTTQoS, _ version: MQTTVersion = .v3_1_1
    ) async throws {
        try await first(configuration(port, clientID, version)) { _, events, message in
            guard message.topic == topic, message.qos == qos, message.payloadString == "message", !message.retain
            else { throw Unexpected("\(message)") }
            if version == .v5_0 { return }
            for await event in events {
                if case .disconnected = event.kind { return }
            }
        }
    }

    private static func receiveProperties(_ port: Int, _ qos: MQTTQoS) async throws {
        try await first(configuration(port, "prop-test", .v5_0)) { client, _, message in
            guard message.properties.contentType == "plain/text", message.properties.responseTopic == "msg/123",
                message.qos == qos
            else { throw Unexpected("\(message)") }
            try await client.publish("ok", to: "ok", qos: .atMostOnce)
        }
    }

    /// The message arrives with the CONNACK, and the driver may close at its PUBACK: consumer and events must be ready
    /// before.
    private static func first(
        _ configuration: MQTTClientConfiguration,
        _ body: (MQTTClient, MQTTConnectionEvents, MQTTMessage) async throws -> Void
    ) async throws {
        let client = MQTTClient(configuration)
        let events = client.events()
        try await client.receive("#") { messages in
            try await client.start()
            guard let message = await messages.first(where: { _ in true }) else { throw Unexpected("no message") }
            try await body(client, events, message)
        }
        try? await client.shutdown()
    }
}
