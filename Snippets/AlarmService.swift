// SPDX-License-Identifier: Apache-2.0

// A service with metrics, spans and logs.

import CoreMetrics
import Instrumentation
import Logging
import Mosquitto
import ServiceLifecycle

struct Alarms: Service {
    let client: MQTTClient

    func run() async throws {
        try await client.subscribe(to: "sensors/+/alarm") { messages in
            for await message in messages {
                try await message.withConsumerSpan { span in
                    span.attributes["bytes"] = message.payload.count
                    try await client.publish("seen", to: message.topic + "/seen")
                }
            }
        }
    }
}

// MetricsSystem.bootstrap(…) and InstrumentationSystem.bootstrap(…) come first: with swift-prometheus and swift-otel, say.
var configuration = MQTTClientConfiguration(host: "broker.example.com")
configuration.clientID = "alarms"
configuration.session = .persistent
configuration.metrics?.dimensions = [("service", "alarms")]
configuration.tracing?.template = { topic in
    topic.hasPrefix("sensors/") ? "sensors/+/" + (topic.split(separator: "/").dropFirst(2).joined(separator: "/")) : nil
}
let logger = Logger(label: "alarms")
let client = MQTTClient(configuration, logger: logger)

// Services end in the reverse order: the handlers first, then the connection they publish on. Either order works.
let group = ServiceGroup(
    services: [client, Alarms(client: client)], gracefulShutdownSignals: [.sigterm], logger: logger)
try await group.run()
