// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto

// The device's primary key, as the portal shows it.
let key = try String(contentsOfFile: "/etc/kitchen/device-key", encoding: .utf8)
let configuration = MQTTClientConfiguration.azureIoTHub(
    hub: "contoso.azure-devices.net", device: "kitchen",
    authentication: .sharedAccessKey(MQTTSecret(key.filter { !$0.isWhitespace })))

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "devices/kitchen/messages/devicebound/#") { messages in
        try await client.publish(
            #"{"celsius": 21.5}"#, to: "devices/kitchen/messages/events/$.ct=application%2Fjson&$.ce=utf-8")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}
