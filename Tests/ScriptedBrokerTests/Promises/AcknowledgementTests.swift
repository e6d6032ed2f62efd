// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

extension ScriptedBroker {
    /// The packets of one type that the client has sent.
    func count(of type: ReceivedPacketType) -> Int { receivedPackets.count { $0.type == type } }
}

@Suite("A message is acknowledged when it has been handled, if that is wanted", .turn(.scripted))
struct AcknowledgementTests {
    private struct Failure: Error {}

    private func configuration(
        _ broker: ScriptedBroker, _ version: MQTTVersion = .v5_0, isEncrypted: Bool = true
    ) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isEncrypted { configuration.tls = nil }
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        return configuration
    }

    @Test(arguments: MQTTVersion.allCases, [true, false])
    func `the consumer asks for the next message, and the one before is acknowledged`(
        version: MQTTVersion, isEncrypted: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: isEncrypted ? TestTLS.identity : nil)
        try await withRunningClient(configuration(broker, version, isEncrypted: isEncrypted)) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                for number in 0..<6 { broker.publish(topic: "a", payload: "\(number)", qos: number < 3 ? 1 : 2) }
                var iterator = messages.makeAsyncIterator()
                for number in 0..<6 {
                    #expect(await iterator.next()?.payloadString == "\(number)")
                    // No acknowledgement of the later ones, whatever other packets are exchanged.
                    try await client.publish("x", to: "other", qos: .exactlyOnce)
                    #expect(await broker.waitUntil { $0.count(of: .puback) == min(number, 3) })
                    #expect(await broker.waitUntil { $0.count(of: .pubrec) == max(number - 3, 0) })
                }
            }
            // The scope has ended.
            #expect(await broker.waitUntil { $0.count(of: .pubrec) == 3 && $0.count(of: .pubcomp) == 3 })
        }
        #expect(broker.errors.isEmpty)
        await broker.stop()
    }

    @Test func `what a handler fails at comes again with the next connection, what it has handled does not`()
        async throws
    {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(configuration(broker)) { client, log in
            for qos in [MQTTQoS.atLeastOnce, .exactlyOnce] {
                let topic = MQTTTopicFilter("a/\(qos.rawValue)")
                await #expect(throws: Failure.self) {
                    try await client.subscribe(to: MQTTSubscription(topic, qos: qos)) { messages in
                        for number in 0..<3 {
                            broker.publish(topic: topic.filter, payload: "\(number)", qos: qos.rawValue)
                        }
                        for await message in messages where message.payloadString == "1" { throw Failure() }
                    }
                }
                let acknowledgement: ReceivedPacketType = qos == .atLeastOnce ? .puback : .pubrec
                #expect(await broker.waitUntil { $0.count(of: acknowledgement) == 1 })
                let connections = broker.connects.count
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count > connections })
                let seen = try await client.subscribe(to: MQTTSubscription(topic, qos: qos)) { messages in
                    var seen: [String] = []
                    for await message in messages {
                        seen.append(message.payloadString)
                        if seen.count == 2 { break }
                    }
                    return seen
                }
                #expect(seen == ["1", "2"], "\(qos)")
            }
        }
        await broker.stop()
    }

    @Test func `a QoS 2 message under handling when the connection is lost is not delivered again`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(configuration(broker)) { client, log in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var iterator = messages.makeAsyncIterator()
                broker.publish(topic: "a", payload: "1", qos: 2)
                #expect(await iterator.next()?.payloadString == "1")
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count == 2 })
                try await client.publish("x", to: "other")
                #expect(broker.count(of: .pubrec) == 0)
                broker.publish(topic: "a", payload: "2", qos: 2)
                #expect(await iterator.next()?.payloadString == "2")
                #expect(await broker.waitUntil { $0.count(of: .pubcomp) == 1 })
            }
            #expect(await broker.waitUntil { $0.count(of: .pubcomp) == 2 })
        }
        await broker.stop()
    }

    @Test func `of several consumers the last one counts, and a message for nobody is acknowledged`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = configuration(broker)
        configuration.session = .clean
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a/b") { first in
                try await client.subscribe(to: "a/b") { second in
                    var iterators = (first.makeAsyncIterator(), second.makeAsyncIterator())
                    for number in 0..<2 { broker.publish(topic: "a/b", payload: "\(number)", qos: 1) }
                    #expect(await iterators.0.next() != nil)
                    #expect(await iterators.1.next() != nil)
                    #expect(await iterators.0.next() != nil)
                    try await client.publish("x", to: "other", qos: .exactlyOnce)
                    #expect(broker.count(of: .puback) == 0)
                    #expect(await iterators.1.next() != nil)
                    #expect(await broker.waitUntil { $0.count(of: .puback) == 1 })
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .puback) == 2 })
            // PUBLISH of QoS 1, with no properties, to a topic that nobody subscribes to.
            broker.inject([0x32, 6, 0, 1, 0x7A, 0, 77, 0])
            #expect(await broker.waitUntil { $0.count(of: .puback) == 3 })
        }
        await broker.stop()
    }

    @Test func `a shutdown with messages under handling leaves them to the broker`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let configuration = configuration(broker)
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a") { messages in
                for number in 0..<3 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
                var iterator = messages.makeAsyncIterator()
                #expect(await iterator.next()?.payloadString == "0")
                #expect(await iterator.next()?.payloadString == "1")
                #expect(await broker.waitUntil { $0.count(of: .puback) == 1 })
                try? await client.shutdown()
            }
        }
        #expect(await broker.waitUntil { $0.disconnects == [0] }, "TLS and MQTT end in order")
        #expect(broker.errors.isEmpty)
        let again = try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a") { messages in
                var seen: [String] = []
                for await message in messages {
                    seen.append(message.payloadString)
                    if seen.count == 2 { break }
                }
                return seen
            }
        }
        #expect(again == ["1", "2"])
        await broker.stop()
    }
}
