// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Keeps a broker busy with small messages of another client while `body` runs.
///
/// mosquitto 2.0.11 reads 4 KiB of a WebSocket in each turn of its loop, and turns every 100 ms without other
/// events: 1 MiB takes longer than 20 s.
func withTicks<Result: Sendable>(
    _ configuration: MQTTClientConfiguration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withMQTTClient(configuration, logger: quiet) { client in
        let ticks = Task {
            while !Task.isCancelled { try await client.publish("", to: "tick", qos: .atLeastOnce) }
        }
        defer { ticks.cancel() }
        return try await body()
    }
}
