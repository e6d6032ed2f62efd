// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Runs a client while `body` runs, which sees its events from the first on.
func withRunningClient<R>(
    _ configuration: MQTTClientConfiguration, _ body: (MQTTClient, MQTTConnectionEvents) async throws -> R
) async throws -> R {
    let client = MQTTClient(configuration, logger: quiet)
    let events = client.events()
    try await client.start()
    do {
        let result = try await body(client, events)
        try? await client.shutdown()
        return result
    } catch {
        try? await client.shutdown()
        throw error
    }
}
