// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension WireClient {
    /// 02: SUBSCRIBE and UNSUBSCRIBE. 03, request and response.
    static let subscribing: [String: Program] = [
        "02-subscribe-qos0": { try await subscribe($0, "subscribe-qos0-test", "qos0/test", .atMostOnce) },
        "02-subscribe-qos1": { try await subscribe($0, "subscribe-qos1-test", "qos1/test", .atLeastOnce) },
        "02-subscribe-qos1-async1": { try await subscribe($0, "subscribe-qos1-test", "qos1/test", .atLeastOnce) },
        "02-subscribe-qos1-async2": { try await subscribe($0, "subscribe-qos1-test", "qos1/test", .atLeastOnce) },
        "02-subscribe-qos2": { try await subscribe($0, "subscribe-qos2-test", "qos2/test", .exactlyOnce) },
        "02-unsubscribe": { try await unsubscribe($0, .v3_1_1) },
        "02-unsubscribe-v5": { try await unsubscribe($0, .v5_0) },
        "02-unsubscribe-multiple-v5": { port in
            try await run(configuration(port, "unsubscribe-test", .v5_0)) { client in
                try await client.subscribe(to: MQTTSubscription("unsubscribe/test", qos: .exactlyOnce)) { messages in
                    _ = try await messages.unsubscribe()
                }
            }
        },
        "03-request-response-1": { try await request($0, MQTTPublishProperties(responseTopic: "response/topic")) },
        "03-request-response-correlation-1": {
            try await request(
                $0,
                MQTTPublishProperties(responseTopic: "response/topic", correlationData: Array("corridor".utf8)))
        },
        "03-request-response-2": { try await respond($0) },
        "03-request-response-correlation-2": { try await respond($0) },
    ]

    /// Leaves with the subscription, as the C program does: no UNSUBSCRIBE.
    private static func subscribe(
        _ port: Int, _ clientID: String, _ filter: MQTTTopicFilter, _ qos: MQTTQoS
    ) async throws {
        try await run(configuration(port, clientID)) { client in
            try await client.subscribe(to: MQTTSubscription(filter, qos: qos)) { _ in try? await client.shutdown() }
        }
    }

    private static func unsubscribe(_ port: Int, _ version: MQTTVersion) async throws {
        try await run(configuration(port, "unsubscribe-test", version)) { client in
            let codes = try await client.unsubscribe(from: ["unsubscribe/test"])
            if codes != [.success] { throw Unexpected("\(codes)") }
        }
    }

    private static func request(_ port: Int, _ properties: MQTTPublishProperties) async throws {
        try await run(configuration(port, "request-test", .v5_0)) { client in
            try await client.subscribe(to: MQTTSubscription("response/topic", qos: .atMostOnce)) { messages in
                try await client.publish("action", to: "request/topic", qos: .atMostOnce, properties: properties)
                let response = await messages.first { _ in true }
                if response?.payloadString != "a response" { throw Unexpected("\(String(describing: response))") }
                try? await client.shutdown()
            }
        }
    }

    private static func respond(_ port: Int) async throws {
        try await run(configuration(port, "response-test", .v5_0)) { client in
            try await client.subscribe(to: MQTTSubscription("request/topic", qos: .atMostOnce)) { messages in
                guard let request = await messages.first(where: { _ in true }) else { throw Unexpected("no request") }
                try await client.respond(to: request, with: "a response", qos: .atMostOnce)
                try? await client.shutdown()
            }
        }
    }
}
