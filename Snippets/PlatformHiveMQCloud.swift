// SPDX-License-Identifier: Apache-2.0

import Mosquitto

let configuration = MQTTClientConfiguration.hiveMQCloud(
    host: "0123456789abcdef.s1.eu.hivemq.cloud", clientID: "kitchen",
    credentials: .file("/etc/kitchen/password", username: "kitchen"))

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "kitchen/commands/#") { messages in
        try await client.publish("21.5", to: "kitchen/temperature")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}
