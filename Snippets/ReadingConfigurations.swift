// SPDX-License-Identifier: Apache-2.0

// A configuration from environment variables and a file.

// snippet.file
import Configuration
import Mosquitto
import MosquittoConfiguration

let config = ConfigReader(providers: [
    EnvironmentVariablesProvider(),
    try await FileProvider<JSONSnapshot>(filePath: "/etc/kitchen/config.json"),
])
let configuration = try MQTTClientConfiguration(config: config.scoped(to: "mqtt"))
let client = MQTTClient(configuration)
// snippet.end

func readEnvironment() throws -> MQTTClientConfiguration {
    // snippet.environment
    let config = ConfigReader(provider: EnvironmentVariablesProvider())
    // MQTT_HOST, MQTT_CLIENT_ID, MQTT_TLS_TRUST_FILES, …
    let configuration = try MQTTClientConfiguration(config: config.scoped(to: "mqtt"))
    // snippet.end
    return configuration
}
