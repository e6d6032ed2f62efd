// SPDX-License-Identifier: Apache-2.0

// A service that stores each message, whatever ends it: SIGTERM, an error, or a crash.

import Logging
import Mosquitto
import ServiceLifecycle

struct Ingest: Service {
    let client: MQTTClient

    func run() async throws {
        try await client.subscribe(to: MQTTSubscription("sensors/#", qos: .atLeastOnce)) { messages in
            for await message in messages {
                try await store(message)
            }
        }
    }

    private func store(_ message: MQTTMessage) async throws {
        print(message.topic, message.payloadString)
    }
}

var configuration = MQTTClientConfiguration(host: "broker.example.com")
configuration.credentials = .file("/var/run/secrets/mqtt/token", username: "ingest")
configuration.clientID = "ingest-0"
configuration.session = .persistent(expiry: .seconds(86_400))
configuration.acknowledgement = .afterHandling
let logger = Logger(label: "ingest")
let client = MQTTClient(configuration, logger: logger)

let group = ServiceGroup(
    services: [client, Ingest(client: client)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
try await group.run()
