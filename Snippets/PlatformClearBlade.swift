// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTokens

// A token that the device signs with its private key, for an hour.
let tokens = MQTTSignedCredentials(
    key: .file("/etc/kitchen/private.pem", .es256), audience: ["my-project"], lifetime: .seconds(3_600))
let configuration = MQTTClientConfiguration.clearBlade(
    project: "my-project", region: "us-central1", registry: "kitchens", device: "kitchen-1", tokens: tokens)

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "/devices/kitchen-1/commands/#") { messages in
        try await client.publish(#"{"celsius": 21.5}"#, to: "/devices/kitchen-1/events")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}
