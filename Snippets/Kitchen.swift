// SPDX-License-Identifier: Apache-2.0

// A whole program: takes commands, and says that it is there.

import Mosquitto

// TLS with the system's certificate authorities, port 8883, MQTT 5.0.
var configuration = MQTTClientConfiguration(host: "broker.example.com")
configuration.clientID = "kitchen"
// The broker keeps subscriptions and messages while the client reconnects.
configuration.session = .persistent
// The password of each CONNECT is what this file holds at that moment, such as a JWT.
configuration.credentials = .file("/var/run/secrets/mqtt/token", username: "kitchen")

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "kitchen/commands/#") { messages in
        try await client.publish("online", to: "kitchen/status", retain: true)
        for await message in messages {
            print(message.topic, message.payloadString)
        }
    }
}
