// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("The end of a subscription and of a client", .turn(.scripted))
struct FarewellTests {
    @Test(arguments: MQTTVersion.allCases)
    func `an unsubscribe returns the broker's reason codes, and what has come can still be read`(
        version: MQTTVersion
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port, version: version)) { client, _ in
            try await client.subscribe(to: "a", "b") { messages in
                try await client.subscribe(to: "b") { _ in
                    broker.publish(topic: "a", payload: "1", qos: 1)
                    #expect(await broker.waitUntil { $0.count(of: .puback) == 1 })
                    // "b" stays: another subscription has it.
                    let codes = try await messages.unsubscribe()
                    #expect(codes == [.success, .success])
                    #expect(broker.count(of: .unsubscribe) == 1)
                    broker.publish(topic: "a", payload: "2", qos: 1)
                    var seen: [String] = []
                    for await message in messages { seen.append(message.payloadString) }
                    #expect(seen == ["1"])
                }
                let codes = try await messages.unsubscribe()
                #expect(codes == [.success, .success])
            }
            #expect(await broker.waitUntil { $0.count(of: .unsubscribe) == 2 })
        }
        await broker.stop()
    }

    @Test func `a code of an UNSUBACK reaches the caller`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.unsubscribe, count: 9, reasonCode: 0)])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "a") { messages in
                let codes = Task { try await messages.unsubscribe() }
                #expect(await broker.waitUntil { $0.count(of: .unsubscribe) == 1 })
                let packet = try #require(broker.receivedPackets.last { $0.type == .unsubscribe }).bytes
                broker.inject([0xB0, 4] + packet[2...3] + [0, 0x87])
                #expect(try await codes.value == [.notAuthorized])
            }
        }
        await broker.stop()
    }

    @Test func `an unsubscribe that the connection did not bring over is made with the next`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.unsubscribe, reasonCode: 0x8B), .serve])
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a") { messages in
                let codes = try await messages.unsubscribe()
                #expect(codes == [.success])
                #expect(broker.connects.count == 2)
            }
        }
        await broker.stop()
    }

    @Test func `a shutdown says what it is told to say`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        configuration.will = MQTTWill(topic: "will", payload: "gone")
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        await #expect(throws: MQTTError.self) { try await client.shutdown(MQTTDisconnect(reasonCode: .notAuthorized)) }
        try await client.shutdown(
            MQTTDisconnect(
                reasonCode: .disconnectWithWillMessage, sessionExpiry: .seconds(7), reasonString: "bye",
                userProperties: [MQTTUserProperty("k", "v")]))
        #expect(await broker.waitUntil { $0.disconnects == [0x04] })
        let packet = try #require(broker.receivedPackets.last { $0.type == .disconnect }).bytes
        let expected: [UInt8] = [0x11, 0, 0, 0, 7, 0x1F, 0, 3, 0x62, 0x79, 0x65, 0x26, 0, 1, 0x6B, 0, 1, 0x76]
        #expect(Array(packet[2...]) == [0x04, UInt8(expected.count)] + expected)
        #expect(await broker.waitUntil { $0.routedMessages.contains { $0.topic == "will" } })
        await broker.stop()
    }

    @Test func `a consumer that stalls for longer than the keep-alive does not cost the connection`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        broker.recordPublishes = false
        var configuration = testConfiguration(port: broker.port)
        configuration.keepAlive = .seconds(5)
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: "a", buffer: MQTTBufferPolicy(capacity: 4, whenFull: .pauseReading)) {
                messages in
                for number in 0..<5_000 {
                    broker.publish(topic: "a", payload: [UInt8](repeating: UInt8(number % 256), count: 4_000), qos: 1)
                }
                // At least two keep-alives pass: the fourth PINGREQ.
                #expect(await broker.waitUntil { $0.count(of: .pingreq) >= 4 })
                var count = 0
                for await message in messages {
                    if message.payload.first != UInt8(count % 256) { Issue.record("message \(count)") }
                    count += 1
                    if count == 5_000 { break }
                }
            }
            let pings = broker.count(of: .pingreq)
            // After that, libmosquitto's own check continues.
            #expect(await broker.waitUntil { $0.count(of: .pingreq) > pings })
            #expect(broker.connects.count == 1)
            #expect(await log.disconnections.isEmpty)
        }
        await broker.stop()
    }

    @Test func `a shutdown lets the broker release the QoS 2 messages that have come`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                for number in 0..<20 { broker.publish(topic: "a", payload: "\(number)", qos: 2) }
                // The shutdown does not wait for a message that arrives during its wait.
                #expect(await messages.prefix(20).reduce(into: 0) { count, _ in count += 1 } == 20)
                try? await client.shutdown()
            }
        }
        #expect(await broker.waitUntil { $0.count(of: .pubrec) == 20 && $0.count(of: .pubcomp) == 20 })
        await broker.stop()
    }
}

@Suite("What no subscription of the client has", .turn(.scripted))
struct UnsubscribedTests {
    @Test(arguments: MQTTVersion.allCases)
    func `is received with the CONNACK by who is there before, without a SUBSCRIBE`(version: MQTTVersion) async throws {
        let connack: [UInt8] = version == .v5_0 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]
        let properties: [UInt8] = version == .v5_0 ? [0] : []
        let publish =
            [0x32, UInt8(6 + properties.count), 0, 1, UInt8(ascii: "a"), 0, 1] + properties + [UInt8(ascii: "!")]
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.reply(connack + publish, close: false)])
        let client = MQTTClient(testConfiguration(port: broker.port, version: version), logger: quiet)
        try await client.receive("a", "b/#") { messages in
            try await client.start()
            let message = await messages.first { _ in true }
            #expect(message == MQTTMessage(topic: "a", payload: Array("!".utf8), qos: .atLeastOnce))
        }
        #expect(broker.count(of: .subscribe) == 0)
        #expect(broker.count(of: .unsubscribe) == 0)
        try? await client.shutdown()
        await broker.stop()
    }

    @Test func `is received in a session that an earlier run has subscribed in`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        configuration.clientID = "returning"
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "kept") { _ in try? await client.shutdown() }
        }
        try await withRunningClient(configuration) { client, _ in
            try await client.receive("#") { messages in
                broker.publish(topic: "kept", payload: "x", qos: 1)
                #expect(await messages.first { _ in true }?.topic == "kept")
            }
        }
        await broker.stop()
    }

    @Test func `is the only thing to unsubscribe from so`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "a") { _ in
                let error = await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: ["b", "a"]) }
                #expect(error?.code == .invalidTopicFilter)
                let empty = await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: []) }
                #expect(empty?.code == .invalidTopicFilter)
                #expect(broker.count(of: .unsubscribe) == 0)
            }
        }
        await broker.stop()
    }

    @Test func `needs no connection to be given up`() async throws {
        var configuration = testConfiguration(port: 1)
        configuration.session = .persistent
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        let waiting = Task { try await client.unsubscribe(from: ["a"]) }
        waiting.cancel()
        let error = await #expect(throws: MQTTError.self) { try await waiting.value }
        #expect(error?.code == .cancelled)
        try? await client.shutdown()
    }
}
