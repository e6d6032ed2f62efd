// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension WireClient {
    /// 03, client to broker. 04: retained messages. 11: properties that are sent, and packets above the broker's size.
    static let publishing: [String: Program] = [
        "03-publish-qos0": { try await publish($0, "publish-qos0-test", "pub/qos0/test", .atMostOnce) },
        "03-publish-qos0-no-payload": {
            try await publish($0, "publish-qos0-test-np", "pub/qos0/no-payload/test", .atMostOnce, payload: "")
        },
        "03-publish-c2b-qos1-disconnect": { try await publish($0, "publish-qos1-test", "pub/qos1/test", .atLeastOnce) },
        "03-publish-c2b-qos1-len": { try await publish($0, "publish-qos1-test", "pub/qos1/test", .atLeastOnce, .v5_0) },
        "03-publish-c2b-qos2": { try await publish($0, "publish-qos2-test", "pub/qos2/test", .exactlyOnce) },
        "03-publish-c2b-qos2-disconnect": { try await publish($0, "publish-qos2-test", "pub/qos2/test", .exactlyOnce) },
        "03-publish-c2b-qos2-len": { try await publish($0, "publish-qos2-test", "pub/qos2/test", .exactlyOnce, .v5_0) },
        "03-publish-c2b-qos1-receive-maximum": { try await publishMany($0, "publish-qos1-test", 6, .atLeastOnce) },
        "03-publish-c2b-qos2-receive-maximum-1": { try await publishMany($0, "publish-qos2-test", 5, .exactlyOnce) },
        "03-publish-c2b-qos2-receive-maximum-2": { try await publishMany($0, "publish-qos2-test", 5, .exactlyOnce) },
        "03-publish-c2b-qos2-maximum-qos-0": { try await publishWithin($0, .atMostOnce) },
        "03-publish-c2b-qos2-maximum-qos-1": { try await publishWithin($0, .atLeastOnce) },
        "03-publish-c2b-qos2-pubrec-error": { port in
            try await run(configuration(port, "publish-qos2-test", .v5_0)) { client in
                async let rejected = refusal {
                    try await client.publish("rejected", to: "topic", qos: .exactlyOnce)
                }
                // The test prescribes the order of the two.
                try await Task.sleep(for: .milliseconds(50))
                try await client.publish("accepted", to: "topic", qos: .exactlyOnce)
                let code = try await rejected
                if !code.isError { throw Unexpected("\(code)") }
            }
        },
        "04-retain-qos0": { port in
            try await run(configuration(port, "retain-qos0-test")) { client in
                try await client.publish("retained message", to: "retain/qos0/test", qos: .atMostOnce, retain: true)
            }
        },
        "11-prop-send-content-type": {
            try await publish(
                $0, "prop-test", "prop/qos0", .atMostOnce, .v5_0,
                properties: MQTTPublishProperties(contentType: "application/json"))
        },
        "11-prop-send-payload-format": {
            try await publish(
                $0, "prop-test", "prop/qos0", .atMostOnce, .v5_0,
                properties: MQTTPublishProperties(payloadIsUTF8: true))
        },
        "11-prop-oversize-packet": { port in
            try await run(configuration(port, "publish-qos0-test", .v5_0)) { client in
                let long: MQTTTopicFilter = "0123456789012345678901234567890"
                let codes = [
                    try await refusal {
                        try await client.subscribe(to: MQTTSubscription(long, qos: .atMostOnce)) { _ in }
                    },
                    try await refusal {
                        try await client.publish("0123456789012345678", to: "pub/test", qos: .atMostOnce)
                    },
                ]
                if codes != [.packetTooLarge, .packetTooLarge] { throw Unexpected("\(codes)") }
                try await client.publish("012345678901234567", to: "pub/test", qos: .atMostOnce)
            }
        },
    ]

    private static func publish(
        _ port: Int, _ clientID: String, _ topic: MQTTTopic, _ qos: MQTTQoS, _ version: MQTTVersion = .v3_1_1,
        payload: String = "message", properties: MQTTPublishProperties = .init()
    ) async throws {
        try await run(configuration(port, clientID, version)) { client in
            try await client.publish(payload, to: topic, qos: qos, properties: properties)
        }
    }

    /// Enqueues all messages at once, so that the broker's Receive Maximum limits how many are in flight.
    private static func publishMany(_ port: Int, _ clientID: String, _ count: Int, _ qos: MQTTQoS) async throws {
        try await run(configuration(port, clientID, .v5_0)) { client in
            for _ in 1..<count { try client.enqueue("12345", to: "topic", qos: qos) }
            try await client.publish("12345", to: "topic", qos: qos)
        }
    }

    /// Publishes with each QoS, and requires that the client refuses those above the broker's Maximum QoS.
    private static func publishWithin(_ port: Int, _ maximum: MQTTQoS) async throws {
        try await run(configuration(port, "publish-qos2-test", .v5_0)) { client in
            for qos in [MQTTQoS.exactlyOnce, .atLeastOnce, .atMostOnce] {
                let topic = MQTTTopic("maximum/qos/qos\(qos.rawValue)")
                if qos <= maximum {
                    try await client.publish("message", to: topic, qos: qos)
                } else {
                    let code = try await refusal { try await client.publish("message", to: topic, qos: qos) }
                    if code != .qosNotSupported { throw Unexpected("\(code)") }
                }
            }
        }
    }
}
