// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite("Messages that nobody has handled when something ends", .turn(.scripted), .timeLimit(.minutes(1)))
struct UnreadAtTheEndTests {
    private func configuration(_ broker: ScriptedBroker, _ session: MQTTSession) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = session
        configuration.acknowledgement = .afterHandling
        return configuration
    }

    @Test func `are for the next run alone, after the end of the client (delivery 12)`() async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker, .persistent)
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                for number in 0..<10 { broker.publish(topic: "a", payload: "\(number)", qos: UInt8(number % 2 + 1)) }
                #expect(await eventually { messages.buffer.waiting == 10 })
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next()?.payloadString == "0")
                try await client.shutdown()
                #expect(await iterator.next() == nil)
            }
        }
        try await withRunningClient(configuration) { client, _ in
            let texts = try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var texts: [String] = []
                for await message in messages {
                    texts.append(message.payloadString)
                    if texts.count == 10 { break }
                }
                return texts
            }
            #expect(Set(texts) == Set((0..<10).map(String.init)))
        }
        await broker.stop()
    }

    @Test func `are acknowledged in a clean session, however long the broker keeps it (delivery 13)`() async throws {
        struct Failure: Error {}
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(broker, .clean)
        configuration.connect.cleanSessionExpiry = .seconds(60)
        try await withRunningClient(configuration) { client, _ in
            await #expect(throws: Failure.self) {
                try await client.subscribe(to: "a") { messages in
                    for number in 0..<3 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                    #expect(await messages.first { _ in true } != nil)
                    throw Failure()
                }
            }
            #expect(await broker.waitUntil(timeout: .seconds(10)) { $0.count(of: .puback) >= 1 })
        }
        await broker.stop()
    }

    @Test func `a repetition is acknowledged behind the messages before it (MQTT 5.0, section 4.6)`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(broker, .persistent)
        configuration.acknowledgement = .onReceipt
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: "b") { messages in
                // PUBLISH of QoS 1 with the identifier 77, for which there is no consumer.
                broker.inject([0x32, 7, 0, 1, 0x61, 0, 77, 0, 0x31])
                try await client.publish("x", to: "other")
                broker.setScript([.refuse(code: 0x88, close: true), .refuse(code: 0x88, close: true), .serve])
                broker.resetAll()
                #expect(await log.wait { !$0.disconnections.isEmpty })
                // Discards it, without a connection.
                let ending = Task { try await client.unsubscribe(from: ["a"]) }
                _ = try await ending.value
                broker.inject([0x32, 7, 0, 1, 0x62, 0, 78, 0, 0x31, 0x3A, 7, 0, 1, 0x61, 0, 77, 0, 0x31])
                #expect(await messages.first { _ in true }?.topic == "b")
                #expect(await broker.waitUntil { $0.count(of: .puback) == 2 })
                #expect(broker.receivedPackets.filter { $0.type == .puback }.map { $0.bytes[3] } == [78, 77])
            }
        }
        await broker.stop()
    }
}
