// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// Returns the configuration of a client that speaks WebSockets to a broker.
func webSocketConfiguration(
    _ broker: ScriptedBroker, isSecure: Bool = true, version: MQTTVersion = .v5_0
) -> MQTTClientConfiguration {
    var configuration = testConfiguration(port: broker.port, version: version)
    if isSecure {
        configuration.endpoints = [.secureWebSocket(host: "localhost", port: broker.port)]
    } else {
        configuration.tls = nil
        configuration.endpoints = [.webSocket(host: "localhost", port: broker.port)]
    }
    return configuration
}

/// Runs a client that speaks WebSockets while `body` runs.
func withWebSocketClient(
    _ webSocket: ScriptedBroker.WebSocket = .init(), isSecure: Bool = true, script: [ConnectionScript] = [.serve],
    _ change: (inout MQTTClientConfiguration) -> Void = { _ in },
    _ body: (MQTTClient, ScriptedBroker, EventLog) async throws -> Void
) async throws {
    let broker = try await ScriptedBroker.start(
        tls: isSecure ? TestTLS.identity : nil, webSocket: webSocket, script: script)
    var configuration = webSocketConfiguration(broker, isSecure: isSecure)
    change(&configuration)
    try await withRunningClient(configuration) { client, log in try await body(client, broker, log) }
    await broker.stop()
}
