// SPDX-License-Identifier: Apache-2.0

// The answers of a service to the probes of Kubernetes, for any HTTP server.

import Mosquitto

/// Returns the status code and the body of the answer to a probe.
func answer(to path: String, _ client: MQTTClient) async -> (status: Int, body: String) {
    switch path {
    case "/livez":
        // Says nothing about the broker: a restart would not bring the broker back.
        return await client.isResponsive() ? (200, "alive") : (503, "the event loop does not respond")
    case "/readyz":
        guard let obstacle = client.health.obstacle(to: .briefOutages) else { return (200, "ready") }
        return (503, "\(obstacle)")
    default:
        return (404, "not found")
    }
}

let client = MQTTClient(MQTTClientConfiguration(host: "broker.example.com"))
print(await answer(to: "/readyz", client))
