// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A request gets the response that belongs to it", .turn(.scripted))
struct RequestTests {
    /// Runs a client that answers requests on "echo" while `body` runs.
    private func withEcho(
        _ broker: ScriptedBroker, _ body: @escaping @Sendable (MQTTClient) async throws -> Void
    ) async throws {
        try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet) { echo in
            try await echo.subscribe(to: "echo") { requests in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for await request in requests where request.payloadString != "silence" {
                            try await echo.respond(to: request, with: "re: " + request.payloadString)
                        }
                    }
                    try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet, body)
                    group.cancelAll()
                }
            }
        }
        await broker.stop()
    }

    @Test func `each of a hundred at once gets its own`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withEcho(broker) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let response = try await client.request("\(number)", to: "echo")
                        #expect(response.payloadString == "re: \(number)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func `without a response it ends with a timeout, and the next one is not mixed up`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withEcho(broker) { client in
            let error = await #expect(throws: MQTTError.self) {
                try await client.request("silence", to: "echo", timeout: .milliseconds(200))
            }
            #expect(error?.code == .timeout)
            let next = try await client.request("next", to: "echo")
            #expect(next.payloadString == "re: next")
        }
    }

    @Test func `the timeout of a request that reached no subscriber says so`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.publish, count: 9, reasonCode: 0)])
        try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet) { client in
            let request = Task { try await client.request("x", to: "nobody", timeout: .seconds(10)) }
            #expect(await broker.waitUntil { $0.count(of: .publish) == 1 })
            let packet = try #require(broker.receivedPackets.first { $0.type == .publish }).bytes
            // The packet identifier follows the topic.
            broker.inject([0x40, 3] + packet[10...11] + [0x10])
            let error = await #expect(throws: MQTTError.self) { try await request.value }
            #expect(error?.code == .timeout)
            #expect(error?.message.hasSuffix("nobody has subscribed to the topic of the request") == true)
        }
        await broker.stop()
    }

    @Test func `it can be cancelled, before there is a connection too`() async throws {
        let client = MQTTClient(testConfiguration(port: try freePort()), logger: quiet)
        try await client.start()
        let request = Task { try await client.request("x", to: "echo") }
        request.cancel()
        let error = await #expect(throws: MQTTError.self) { try await request.value }
        #expect(error?.code == .cancelled)
        try? await client.shutdown()
    }

    @Test func `it survives a lost connection`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withEcho(broker) { client in
            let before = try await client.request("a", to: "echo")
            #expect(before.payloadString == "re: a")
            broker.dropAll()
            // Both clients have reconnected and subscribed again.
            #expect(await broker.waitUntil { $0.subscriptionCount == 4 })
            let after = try await client.request("b", to: "echo")
            #expect(after.payloadString == "re: b")
        }
    }

    @Test func `it ends when the client does`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
        try await client.start()
        let request = Task { try await client.request("x", to: "nobody") }
        #expect(await broker.waitUntil { $0.publishes.contains { $0.topic == "nobody" } })
        try? await client.shutdown()
        let error = await #expect(throws: MQTTError.self) { try await request.value }
        #expect(error?.code == .stopped)
        await broker.stop()
    }

    @Test func `MQTT 3_1_1 has no requests, and a message without a response topic is none`() async throws {
        let client = MQTTClient(testConfiguration(port: 1, version: .v3_1_1), logger: quiet)
        let unsupported = await #expect(throws: MQTTError.self) { try await client.request("x", to: "echo") }
        #expect(unsupported?.code == .unsupported)
        let message = MQTTMessage(topic: "a", payload: [], qos: .atMostOnce)
        let noRequest = await #expect(throws: MQTTError.self) { try await client.respond(to: message, with: "x") }
        #expect(noRequest?.code == .invalidTopic)
    }
}

extension ScriptedBroker {
    fileprivate var subscriptionCount: Int {
        receivedPackets.count { $0.type == .subscribe }
    }
}
