// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite("A publish waits no longer than its Message Expiry Interval", .turn(.scripted), .timeLimit(.minutes(1)))
struct ExpiringPublishTests {
    private let aSecond = MQTTPublishProperties(messageExpiryInterval: 1)

    /// Nobody answers: the connection closes at the first PUBLISH, and others are closed at once.
    private static let vanishing: [ConnectionScript] = [.goodbye, .closeOnAccept]

    /// Expiry, the cancellation of the siblings and the loop come to the same messages at the same time.
    @Test func `ten thousand in a throwing task group expire, and the queue is as good as new (core 3)`() async throws {
        let port = try freePort()
        try await withRunningClient(testConfiguration(port: port, tls: nil)) { client, _ in
            let error = await #expect(throws: MQTTError.self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<scaled(10_000) {
                        group.addTask { try await client.publish("\(number)", to: "a", properties: aSecond) }
                    }
                    for try await _ in group {}
                }
            }
            #expect(error?.code == .messageExpired)
            #expect(client.session.shared.queue.isEmpty)
            #expect(client.session.shared.queue.depth == (0, 0))
            #expect(await client.session.unsentMessages == 0)
            let broker = try await ScriptedBroker.start(port: port)
            try await client.waitUntilConnected(timeout: .seconds(30))
            // A message of which the loop is not notified would wait for the next PINGREQ.
            let start = ContinuousClock.now
            for number in 0..<10 { try await client.publish("\(number)", to: "a") }
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(broker.publishes.map(\.text) == (0..<10).map(String.init))
            await broker.stop()
        }
    }

    @Test func `calls that are cancelled while the loop takes them leave nothing behind (core 3)`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.recordPublishes = false
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            for _ in 0..<scaled(300) {
                let call = Task { try await client.publish("x", to: "a", qos: .atMostOnce) }
                await Task.yield()
                call.cancel()
                _ = await call.result
            }
            let start = ContinuousClock.now
            try await client.publish("last", to: "a")
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(await client.session.unsentMessages == 0)
        }
        await broker.stop()
    }

    @Test(arguments: [MQTTSession.clean, .persistent], [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `also if its connection is gone and no other comes (core 13)`(session: MQTTSession, qos: MQTTQoS) async throws
    {
        let broker = try await ScriptedBroker.start(script: Self.vanishing)
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = session
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let start = ContinuousClock.now
            let error = await #expect(throws: MQTTError.self) {
                try await client.publish(
                    "late", to: "a", qos: qos, properties: MQTTPublishProperties(messageExpiryInterval: 3))
            }
            #expect(error?.code == .messageExpired)
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(await log.wait { $0.disconnections.count == 1 })
            // A resumed session must still receive the packet; a new one must not.
            broker.setScript([.serve])
            #expect(await broker.waitUntil { $0.openConnections == 1 && $0.connects.count >= 2 })
            try await client.publish("next", to: "a", qos: qos)
            let expected = session == .clean ? ["late", "next"] : ["late", "late", "next"]
            let packets = broker.receivedPackets.filter { $0.type == .publish }
            #expect(packets.map { String(decoding: $0.bytes.suffix(4), as: UTF8.self) } == expected)
        }
        await broker.stop()
    }

    @Test func `and has succeeded if the broker has taken the message over (core 13)`() async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.pubrel, reasonCode: 0), .closeOnAccept])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let result = try await client.publish(
                "x", to: "a", qos: .exactlyOnce, properties: MQTTPublishProperties(messageExpiryInterval: 10))
            #expect(result.reasonCode == .success)
        }
        await broker.stop()
    }
}
