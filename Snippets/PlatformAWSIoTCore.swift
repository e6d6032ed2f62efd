// SPDX-License-Identifier: Apache-2.0

import Mosquitto

let configuration = MQTTClientConfiguration.awsIoTCore(
    endpoint: "a1b2c3d4e5-ats.iot.eu-central-1.amazonaws.com", clientID: "kitchen",
    authentication: .certificate(
        .files(certificate: "/etc/kitchen/certificate.pem.crt", key: "/etc/kitchen/private.pem.key"), port: 443))

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "kitchen/commands/#") { messages in
        try await client.publish(#"{"celsius": 21.5}"#, to: "kitchen/telemetry")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}
