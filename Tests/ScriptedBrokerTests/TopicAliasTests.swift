// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("The topic aliases of the broker", .turn(.scripted), .timeLimit(.minutes(2)))
struct TopicAliasTests {
    /// A PUBLISH of QoS 0 with a topic alias.
    private static func publish(_ topic: String, _ alias: UInt16, _ payload: String) -> [UInt8] {
        let body =
            [UInt8(topic.utf8.count >> 8), UInt8(topic.utf8.count & 0xFF)] + Array(topic.utf8)
            + [3, 0x23, UInt8(alias >> 8), UInt8(alias & 0xFF)] + Array(payload.utf8)
        return [0x30, UInt8(body.count)] + body
    }

    @Test func `are announced, resolved, and forgotten with the connection`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.subscribe(to: "long/#") { messages in
                let connect = try #require(broker.connects.first)
                #expect(connect.properties.first { $0.identifier == 0x22 }?.integer == 64)
                broker.inject(Self.publish("long/topic", 64, "1") + Self.publish("", 64, "2"))
                var seen: [MQTTMessage] = []
                for await message in messages {
                    seen.append(message)
                    if seen.count == 2 { break }
                }
                #expect(seen.map(\.topic) == ["long/topic", "long/topic"])
                #expect(seen.map(\.payloadString) == ["1", "2"])
                broker.dropAll()
                #expect(await log.wait { $0.connections.count == 2 })
                broker.inject(Self.publish("", 64, "3"))
                #expect(await log.wait { $0.disconnections.count == 2 })
            }
        }
        await broker.stop()
    }

    @Test(arguments: [
        (publish("", 1, "x"), "to which it has assigned no topic"), (publish("a", 0, "x"), "the Topic Alias 0"),
        (publish("a", 65, "x"), "above the client's maximum of 64"),
    ])
    func `that break the rules are answered with 0x94`(packet: [UInt8], text: String) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.inject(packet)
            #expect(await log.wait { $0.connections.count == 2 })
            let lost = try #require(await log.disconnections.first)
            #expect(lost.error.code == .protocolViolation && lost.error.message.contains(text))
            #expect(lost.decision == .retry(.slow))
            #expect(await broker.waitUntil { $0.disconnects.first == 0x94 })
        }
        await broker.stop()
    }

    @Test func `are not allowed if the maximum is 0`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.receiving.topicAliasMaximum = 0
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.connections.count == 1 })
            #expect(broker.connects.first?.properties.contains { $0.identifier == 0x22 } == false)
            broker.inject(Self.publish("a", 1, "x"))
            #expect(await broker.waitUntil { $0.disconnects.first == 0x94 })
        }
        await broker.stop()
    }
}
