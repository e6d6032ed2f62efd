// SPDX-License-Identifier: Apache-2.0

import Mosquitto

let configuration = MQTTClientConfiguration.emqx(
    host: "a1b2c3d4.ala.eu-central-1.emqxsl.com", clientID: "kitchen",
    credentials: .file("/etc/kitchen/token", username: "kitchen"), plan: .serverless)

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "kitchen/commands/#") { messages in
        try await client.publish("21.5", to: "kitchen/temperature")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}
