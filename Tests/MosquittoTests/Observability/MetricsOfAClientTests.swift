// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import MetricsTestKit
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A client tells its metrics as it goes", .turn(.units))
struct MetricsOfAClientTests {
    private let system = TestMetrics()

    private func configuration(port: Int) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: port, tls: nil)
        configuration.metrics = MQTTMetricsConfiguration(factory: system)
        configuration.metrics?.interval = .milliseconds(5)
        configuration.retry.baseDelay = .milliseconds(10)
        configuration.retry.maximumDelay = .milliseconds(50)
        configuration.retry.minimumDelay = .milliseconds(1)
        return configuration
    }

    private func total(_ label: String, _ dimensions: (String, String)...) -> Int64 {
        system.counterTotal(label: "mqtt_client_" + label, dimensions: dimensions)
    }

    private func level(_ name: String, _ dimensions: (String, String)...) -> Double {
        system.meters(label: "mqtt_client_" + name, dimensions: dimensions).first?.lastValue ?? 0
    }

    /// Waits until all gauges are back at zero, which happens after the tasks that await the client's end have resumed.
    private func isAtRest() async -> Bool {
        await eventually {
            let states = ["connecting", "waiting", "connected", "disconnecting"]
            return level("in_flight") == 0 && level("queued_messages") == 0
                && states.allSatisfy { level("connection_state", ("state", $0)) == 0 }
        }
    }

    @Test func `messages, bytes and the state are counted, and the levels go back`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withMQTTClient(configuration(port: broker.port), logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                for number in 0..<10 { try await client.publish("\(number)", to: "a") }
                for number in 0..<3 { try await client.publish("\(number)", to: "a", qos: .exactlyOnce) }
                for number in 0..<2 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
                var count = 0
                for await _ in messages {
                    count += 1
                    if count == 15 { break }
                }
            }
            #expect(await eventually { total("received_total", ("qos", "0")) == 2 })
            #expect(level("connection_state", ("state", "connected")) == 1)
            #expect(level("connection_state", ("state", "connecting")) == 0)
        }
        #expect(total("connect_attempts_total") == 1)
        #expect(total("published_total", ("qos", "0")) == 2)
        #expect(total("published_total", ("qos", "1")) == 10)
        #expect(total("published_total", ("qos", "2")) == 3)
        #expect(total("received_total", ("qos", "1")) == 10)
        #expect(total("received_total", ("qos", "2")) == 3)
        #expect(try system.expectTimer("mqtt_client_publish_duration_seconds").values.count == 15)
        #expect(try system.expectTimer("mqtt_client_connect_duration_seconds").values.count == 1)
        // The broker has counted all packets up to the DISCONNECT.
        #expect(total("sent_bytes_total") == broker.applicationBytesReceived)
        #expect(total("received_bytes_total") > 15 * 5)
        #expect(await isAtRest())
        await broker.stop()
    }

    @Test func `what a full buffer drops is counted`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withMQTTClient(configuration(port: broker.port), logger: quiet) { client in
            let buffer = MQTTBufferPolicy(capacity: 2, whenFull: .dropOldest)
            try await client.subscribe(to: "a", buffer: buffer) { messages in
                for number in 0..<10 { try await client.publish("\(number)", to: "a") }
                #expect(await eventually { total("dropped_total") == 8 })
                #expect(messages.dropped == 8)
            }
        }
        await broker.stop()
    }

    @Test func `what waits for a connection is queued, and a refused port counts as such`() async throws {
        let client = MQTTClient(configuration(port: try freePort()), logger: quiet)
        try await client.start()
        for number in 0..<7 { try client.enqueue("\(number)", to: "a") }
        #expect(await eventually { level("queued_messages") == 7 })
        #expect(
            await eventually {
                total("connect_failures_total", ("code", "connectionRefused"), ("phase", "connect")) >= 3
            })
        try? await client.shutdown()
        #expect(await isAtRest())
        #expect(total("publish_failures_total", ("code", "stopped")) == 7)
    }

    @Test(arguments: [MQTTQueuePolicy.WhenFull.refuse, .dropOldestQoS0])
    func `what finds no room in the queue is counted`(whenFull: MQTTQueuePolicy.WhenFull) async throws {
        var configuration = configuration(port: try freePort())
        configuration.publishing.queue = MQTTQueuePolicy(maximumMessages: 2, whenFull: whenFull)
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        for number in 0..<5 { try? client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
        #expect(await eventually { level("queued_messages") == 2 })
        #expect(total("publish_failures_total", ("code", "queueFull")) == 3)
        try? await client.shutdown()
        #expect(await isAtRest())
    }

    @Test func `a lost connection and a rotation are counted`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(port: broker.port)
        let number = Numbers()
        configuration.credentials = .closure { _ in
            MQTTCredentials(username: "u", password: MQTTSecret("token-\(await number.next())"))
        }
        try await withMQTTClient(configuration, logger: quiet) { client in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.rotateCredentials()
            broker.dropAll()
            #expect(await eventually { total("disconnections_total", ("code", "closed")) == 1 })
            try await client.waitUntilConnected(timeout: .seconds(30))
        }
        #expect(total("credential_rotations_total") == 1)
        #expect(try system.expectTimer("mqtt_client_rotation_gap_seconds").values.count == 1)
        #expect(total("credential_refreshes_total") >= 2)
        #expect(system.meters(label: "mqtt_client_token_age_seconds").first?.values.isEmpty == false)
        await broker.stop()
    }
}

private actor Numbers {
    private var last = 0
    func next() -> Int {
        last += 1
        return last
    }
}
