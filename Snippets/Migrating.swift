// SPDX-License-Identifier: Apache-2.0

// Code that comes from another library: connect, publish, subscribe, shut down, watch failures.

import Mosquitto

func handle(_ topic: String, _ text: String) { print(topic, text) }

func connect(password: MQTTSecret) async throws {
    // snippet.connect
    // TLS, port 8883, MQTT 5.0.
    var configuration = MQTTClientConfiguration(host: "broker.example.com")
    configuration.clientID = "kitchen"
    configuration.tls?.trust = .file("/etc/mqtt/ca.pem")  // without this line: the authorities of the system
    configuration.credentials = .static(username: "kitchen", password: password)

    let client = MQTTClient(configuration)
    try await client.start()
    // snippet.end
}

func scope(_ configuration: MQTTClientConfiguration) async throws {
    // snippet.scope
    try await withMQTTClient(configuration) { client in
        try await client.publish("online", to: "kitchen/status", qos: .atLeastOnce, retain: true)
    }
    // snippet.end
}

func choose(_ configuration: inout MQTTClientConfiguration) {
    // snippet.first
    // The default: start() returns at once, and the client tries until it is connected.
    configuration.connection.firstConnection = .background
    // Or: start() returns when the client is connected, and throws after a minute.
    configuration.connection.firstConnection = .waitUntilConnected(within: .seconds(60))
    // snippet.end

    // snippet.delays
    configuration.retry.baseDelay = .seconds(1)
    configuration.retry.maximumDelay = .seconds(30)
    // snippet.end

    // snippet.token
    configuration.credentials = .file("/var/run/secrets/mqtt/token", username: "kitchen")
    // snippet.end

    // snippet.will
    configuration.will = MQTTWill(topic: "kitchen/status", payload: "offline", qos: .atLeastOnce, retain: true)
    // snippet.end
}

func publish(_ client: MQTTClient) async throws {
    // snippet.publish
    try await client.publish("21.5", to: "kitchen/temperature", qos: .atLeastOnce)  // returns at the PUBACK
    try client.enqueue("21.5", to: "kitchen/temperature")  // returns at once
    // snippet.end
}

func subscribe(_ client: MQTTClient) async throws {
    // snippet.subscribe
    try await client.subscribe(to: MQTTSubscription("kitchen/commands/#", qos: .atLeastOnce)) { messages in
        for await message in messages {
            handle(message.topic, message.payloadString)
        }
    }
    // snippet.end
}

func watch(_ client: MQTTClient) async {
    // snippet.watch
    for await event in client.events() {
        switch event.kind {
        case .attemptFailed(let failed): print(failed.error, "next attempt in", failed.retryIn as Any)
        case .resubscribed(let filters): print("subscribed again to", filters)
        case .stopped(let error): print("stopped", error as Any)
        default: break
        }
    }
    // snippet.end
}

func end(_ client: MQTTClient) async throws {
    // snippet.shutdown
    try await client.shutdown()  // throws the number of messages that were not acknowledged, if there are any
    // snippet.end
}
