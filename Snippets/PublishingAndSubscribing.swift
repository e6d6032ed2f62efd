// SPDX-License-Identifier: Apache-2.0

// Messages: publish, subscribe, request and respond, acknowledge after handling, trace, and watch the connection.

import Logging
import Mosquitto
import ServiceLifecycle

func store(_ message: MQTTMessage) async throws { print(message.topic) }

func countRows(_ message: MQTTMessage) async -> Int { message.payload.count }

func show(_ text: String) { print(text) }

func begin(logger: Logger) async throws {
    // snippet.begin
    var configuration = MQTTClientConfiguration(host: "broker.example.com")
    configuration.credentials = .file("/var/run/secrets/token", username: "device-1")
    try await withMQTTClient(configuration, logger: logger) { client in
        try await client.publish("21.5", to: "sensors/kitchen/temperature")
    }
    // snippet.end
}

func publish(_ client: MQTTClient) async throws {
    // snippet.publish
    try await client.publish("21.5", to: "kitchen/temperature")
    try await client.publish([0x01, 0x02], to: "kitchen/raw", qos: .exactlyOnce)
    try await client.publish(
        #"{"celsius": 21.5}"#, to: "kitchen/temperature", retain: true,
        properties: MQTTPublishProperties(messageExpiryInterval: 60, contentType: "application/json"))
    // snippet.end

    // snippet.executor
    try await withTaskExecutorPreference(MosquittoEventLoop.shared.taskExecutor) {
        try await client.publish("on", to: "lamp")
        try await client.publish("off", to: "lamp")
    }
    // snippet.end
}

func subscribe(_ client: MQTTClient) async throws {
    // snippet.subscribe
    try await client.subscribe(to: "kitchen/+", MQTTSubscription("alarm/#", qos: .exactlyOnce)) { messages in
        for await message in messages {
            print(message.topic, message.payload.count, message.retain)
        }
    }
    // snippet.end

    // snippet.latest
    let latest = MQTTBufferPolicy(capacity: 100, whenFull: .dropOldest)
    try await client.subscribe(to: "kitchen/temperature", buffer: latest) { messages in
        for await message in messages { show(message.payloadString) }
    }
    // snippet.end

    // snippet.temperatures
    try await client.subscribe(to: "sensors/+/temperature") { messages in
        for await message in messages { print(message.topic, message.payloadString) }
    }
    // snippet.end

    // snippet.receive
    try await client.receive("devices/kitchen/#") { messages in
        for await message in messages { print(message.topic) }
    }
    // snippet.end
}

func readOne(_ configuration: MQTTClientConfiguration) async throws -> MQTTMessage? {
    // snippet.one
    let message = try await withMQTTClient(configuration) { client in
        try await client.subscribe(to: "sensors/kitchen/temperature") { messages in
            await messages.first { _ in true }
        }
    }
    // snippet.end
    return message
}

func handleOrders(_ original: MQTTClientConfiguration, logger: Logger) async throws {
    var configuration = original
    // snippet.orders
    configuration.clientID = "orders-1"  // a persistent session needs a stable identifier
    configuration.session = .persistent(expiry: .seconds(86_400))
    configuration.acknowledgement = .afterHandling
    try await withMQTTClient(configuration, logger: logger) { client in
        try await client.subscribe(to: MQTTSubscription("orders", qos: .atLeastOnce)) { messages in
            for await message in messages {
                try await store(message)  // an error leaves the message unacknowledged: the broker resends it
            }
        }
    }
    // snippet.end
}

func trace(_ messages: MQTTMessages) async {
    // snippet.trace
    for await message in messages {
        await message.withConsumerSpan { span in
            span.attributes["rows"] = await countRows(message)
        }
    }
    // snippet.end
}

func ask(_ client: MQTTClient) async throws -> MQTTMessage {
    // snippet.requests
    // Sends a request and waits for the response, at most 30 s.
    let answer = try await client.request("status", to: "lamp/query")

    // Responds.
    try await client.subscribe(to: "lamp/query") { requests in
        for await request in requests { try await client.respond(to: request, with: "on") }
    }
    // snippet.end
    return answer
}

// snippet.thermometer
struct Thermometer: Service {
    let client: MQTTClient
    let readings: AsyncStream<Double>

    func run() async throws {
        for await celsius in readings.cancelOnGracefulShutdown() {
            do throws(MQTTError) {
                try await client.publish("\(celsius)", to: "kitchen/temperature")
            } catch {
                if error.code == .cancelled { return }
                throw error
            }
        }
    }
}
// snippet.end

func rotate(_ client: MQTTClient) async throws {
    // snippet.rotate
    try await client.rotateCredentials(.reconnectNow)
    // snippet.end
}

func watch(_ client: MQTTClient) async throws {
    // snippet.events
    // Before the client starts: the sequence has the events from this call on.
    let events = client.events()
    Task {
        for await event in events {
            switch event.kind {
            case .attemptFailed(let failed): print(failed.error, failed.retryIn as Any)
            case .connected(let info): print("connected to", info.address, info.tls?.version ?? "TCP")
            case .credentialsRotated(let rotated): print("new token, gap", rotated.gap)
            default: break
            }
        }
    }
    try await client.waitUntilConnected(timeout: .seconds(30))
    // snippet.end
}
