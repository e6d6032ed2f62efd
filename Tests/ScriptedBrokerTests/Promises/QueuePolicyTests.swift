// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("What waits to be published is bounded, as the policy says", .turn(.scripted))
struct QueuePolicyTests {
    @Test func `callers wait for room, and everything is sent in order`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.publishing.queue = MQTTQueuePolicy(maximumMessages: 3, maximumBytes: 1_000)
        configuration.publishing.maximumInFlight = 2
        try await withRunningClient(configuration) { client, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask { try await client.publish("\(number)", to: "a", qos: .atLeastOnce) }
                }
                try await group.waitForAll()
            }
            #expect(Set(broker.publishes.map(\.text)).count == 500)
        }
        await broker.stop()
    }

    @Test func `without a connection QoS 0 is refused if it is not to wait, and QoS 1 waits`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port)
        configuration.publishing.queue.queuesQoS0Offline = false
        try await withRunningClient(configuration) { client, log in
            let error = await #expect(throws: MQTTError.self) {
                try await client.publish("0", to: "a", qos: .atMostOnce)
            }
            #expect(error?.code == .notConnected)
            #expect(throws: MQTTError.self) { try client.enqueue("0", to: "a", qos: .atMostOnce) }
            try client.enqueue("1", to: "a", qos: .atLeastOnce)
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.publish("2", to: "a", qos: .atMostOnce)
            #expect(await broker.waitUntil { $0.publishes.map(\.text) == ["1", "2"] })
            await broker.stop()
            #expect(await log.wait { $0.names.contains("disconnected") })
            #expect(throws: MQTTError.self) { try client.enqueue("3", to: "a", qos: .atMostOnce) }
        }
    }

    @Test func `a message that expires in the queue is not sent, one that does not has less time left`() async throws {
        let port = try freePort()
        try await withRunningClient(testConfiguration(port: port)) { client, _ in
            let waiting = Task {
                try await client.publish("late", to: "a", properties: MQTTPublishProperties(messageExpiryInterval: 1))
            }
            try client.enqueue("in time", to: "a", properties: MQTTPublishProperties(messageExpiryInterval: 100))
            let error = await #expect(throws: MQTTError.self) { try await waiting.value }
            #expect(error?.code == .messageExpired)
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            #expect(await broker.waitUntil { $0.publishes.count == 1 })
            let publish = try #require(broker.publishes.first)
            #expect(publish.text == "in time")
            let left = try #require(publish.properties.first { $0.identifier == 0x02 }?.integer)
            #expect((1...99).contains(left))
            await broker.stop()
        }
    }

    @Test func `a cancelled call frees its place`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port)
        configuration.publishing.queue.maximumMessages = 1
        try await withRunningClient(configuration) { client, _ in
            for number in 0..<100 {
                let call = Task { try await client.publish("\(number)", to: "a") }
                call.cancel()
                let error = await #expect(throws: MQTTError.self) { try await call.value }
                #expect(error?.code == .cancelled)
            }
            try client.enqueue("kept", to: "a")
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            #expect(await broker.waitUntil { $0.publishes.map(\.text) == ["kept"] })
            await broker.stop()
        }
    }
}
