// SPDX-License-Identifier: Apache-2.0

// Errors to catch. A closure infers no typed `throws`: write `do throws(MQTTError)`.

import Mosquitto

let configuration = MQTTClientConfiguration(host: "broker.example.com")
try await withMQTTClient(configuration) { client in
    // snippet.catching
    do throws(MQTTError) {
        try await client.publish("21.5", to: "kitchen/temperature")
    } catch {
        switch error.code {
        case .operationRefused: print("the broker refused:", error.reasonCode as Any)
        case .stopped, .cancelled: break
        default: print(error)
        }
    }
    // snippet.end
}
