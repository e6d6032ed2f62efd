// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Messages and subscriptions outlive connections", .turn(.scripted))
struct SessionTests {
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce])
    func `a message comes back as it was published`(version: MQTTVersion, qos: MQTTQoS) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port, version: version)) { client, _ in
            let message = try await client.subscribe(to: MQTTSubscription("a/+", qos: qos)) { messages in
                try await client.publish([0, 1, 255], to: "a/b", qos: qos)
                return await messages.first { _ in true }
            }
            #expect(message == MQTTMessage(topic: "a/b", payload: [0, 1, 255], qos: qos))
            #expect(message?.packetIdentifier == (qos == .atMostOnce ? nil : 1))
        }
        await broker.stop()
    }

    @Test func `the properties of MQTT 5 arrive as they were sent`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let properties = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 60, contentType: "text/plain", responseTopic: "answer",
            correlationData: [1, 2, 3], userProperties: [.init("a", "1"), .init("a", "2"), .init("b", "é")])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            let message = try await client.subscribe(to: "a") { messages in
                try await client.publish("x", to: "a", properties: properties)
                return await messages.first { _ in true }
            }
            var received = try #require(message?.properties)
            // The time spent waiting for a connection is subtracted.
            #expect((1...60).contains(received.messageExpiryInterval ?? 0))
            received.messageExpiryInterval = 60
            #expect(received == properties)
        }
        await broker.stop()
    }

    @Test(arguments: [MQTTSession.clean, .persistent])
    func `publishes under way when the connection is cut are completed`(session: MQTTSession) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.session = session
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        try await client.publish(
                            "\(number)", to: "a", qos: number.isMultiple(of: 2) ? .atLeastOnce : .exactlyOnce)
                    }
                }
                for _ in 0..<3 {
                    let before = broker.publishCount
                    _ = await broker.waitUntil(timeout: .milliseconds(200)) { $0.publishCount > before + 50 }
                    broker.resetAll()
                }
                try await group.waitForAll()
            }
            let routed = broker.routedMessages.map { Int($0.text) ?? -1 }
            let atLeastOnce = Set(routed.filter { $0.isMultiple(of: 2) })
            #expect(atLeastOnce == Set((0..<500).filter { $0.isMultiple(of: 2) }))
            let exactlyOnce = routed.filter { !$0.isMultiple(of: 2) }
            #expect(Set(exactlyOnce).count == exactlyOnce.count, "QoS 2 is never duplicated")
            if session != .clean {
                // A clean session discards a message that it acknowledged with PUBREC, if no PUBREL follows.
                #expect(exactlyOnce.count == 250)
            }
        }
        await broker.stop()
    }

    @Test func `subscriptions are made again when the broker has no session, and not when it has`() async throws {
        for session in [MQTTSession.clean, .persistent] {
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
            var configuration = testConfiguration(port: broker.port)
            configuration.session = session
            try await withRunningClient(configuration) { client, log in
                try await client.subscribe(to: "a/#", MQTTSubscription("b", qos: .exactlyOnce)) { messages in
                    broker.dropAll()
                    #expect(await log.wait { $0.names.filter { $0 == "connected" }.count == 2 })
                    let expected = session == .clean ? 4 : 2
                    #expect(
                        await broker.waitUntil { $0.receivedPackets.filter { $0.type == .subscribe }.count == expected }
                    )
                    if session == .clean { #expect(await log.wait { $0.names.contains("resubscribed") }) }
                    try await client.publish("after", to: "b", qos: .exactlyOnce)
                    let message = await messages.first { _ in true }
                    #expect(message?.payloadString == "after")
                }
            }
            await broker.stop()
        }
    }

    @Test func `the end of a subscription's scope unsubscribes what nobody else wants`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "shared", "mine") { _ in
                try await client.subscribe(to: "shared") { _ in }
                try await client.publish("x", to: "other")
                #expect(broker.receivedPackets.filter { $0.type == .unsubscribe }.isEmpty)
            }
            #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .unsubscribe } })
        }
        await broker.stop()
    }

    @Test func `a second consumer of a filter does not lower the first one's QoS`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { first in
                #expect(first.grantedReasonCodes == [.grantedQoS2])
                try await client.subscribe(to: MQTTSubscription("a", qos: .atMostOnce)) { second in
                    try await client.publish("x", to: "a", qos: .exactlyOnce)
                    #expect(await first.first { _ in true }?.qos == .exactlyOnce)
                    #expect(await second.first { _ in true }?.qos == .exactlyOnce)
                }
            }
        }
        await broker.stop()
    }

    @Test func `each consumer gets each of its messages once, however many filters match`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "a/#") { all in
                try await client.subscribe(to: "a/b") { some in
                    broker.publish(topic: "a/b", payload: "1", qos: 1)
                    broker.publish(topic: "a/c", payload: "2", qos: 1)
                    broker.publish(topic: "a/b", payload: "end", qos: 1)
                    var seen: (all: [String], some: [String]) = ([], [])
                    for await message in all {
                        seen.all.append(message.payloadString)
                        if message.payloadString == "end" { break }
                    }
                    for await message in some {
                        seen.some.append(message.payloadString)
                        if message.payloadString == "end" { break }
                    }
                    #expect(Set(seen.all) == ["1", "2", "end"])
                    #expect(Set(seen.some) == ["1", "end"])
                }
            }
        }
        await broker.stop()
    }

    @Test func `a slow consumer holds the broker back, and loses nothing`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        broker.recordPublishes = false
        let payload = [UInt8](repeating: 7, count: 1_000)
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "a", buffer: MQTTBufferPolicy(capacity: 10, whenFull: .pauseReading)) {
                messages in
                for _ in 0..<2_000 { broker.publish(topic: "a", payload: payload, qos: 1) }
                var count = 0
                for await _ in messages {
                    count += 1
                    if count.isMultiple(of: 400) { try await Task.sleep(for: .milliseconds(20)) }
                    if count == 2_000 { break }
                }
                #expect(count == 2_000)
                #expect(messages.dropped == 0)
            }
        }
        await broker.stop()
    }

    @Test func `a rotation on demand keeps the session and reports its gap`() async throws {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, authentication: .token(issuer, kickOnExpiry: true))
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        configuration.will = MQTTWill(topic: "will", payload: "gone")
        configuration.credentials = .closure { _ in
            MQTTCredentials(username: "dev1", password: MQTTSecret(issuer.token(lifetime: .seconds(60))))
        }
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.rotateCredentials()
            #expect(await log.wait { $0.rotations.count == 1 })
            #expect(broker.connects.count == 2)
            #expect(Set(broker.connects.map(\.password)).count == 2)
            #expect(await broker.waitUntil { $0.disconnects == [0] }, "a DISCONNECT, so that the will is not published")
            #expect(!broker.routedMessages.contains { $0.topic == "will" })
            guard case .connected(let info) = client.state else { return #expect(Bool(false), "\(client.state)") }
            #expect(info.sessionPresent)
        }
        await broker.stop()
    }

    @Test func `messages of a resumed session wait for the program to subscribe`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        let first = MQTTClient(configuration, logger: quiet)
        try await first.start()
        try await first.subscribe(to: "a") { _ in try? await first.shutdown() }
        for number in 0..<100 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        try await withRunningClient(configuration) { second, _ in
            let info = try await second.waitUntilConnected(timeout: .seconds(30))
            #expect(info.sessionPresent)
            // All messages arrive and wait before any consumer subscribes (D1).
            try await second.publish("x", to: "other")
            #expect(broker.count(of: .puback) == 0)
            try await second.subscribe(to: "a") { messages in
                var seen: [String] = []
                for await message in messages {
                    seen.append(message.payloadString)
                    if seen.count == 100 { break }
                }
                #expect(seen == (0..<100).map(String.init))
            }
            #expect(await broker.waitUntil { $0.count(of: .puback) == 100 })
        }
        await broker.stop()
    }

    @Test func `a full queue refuses, and an offline publish is sent later`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port)
        configuration.publishing.queue.maximumMessages = 3
        try await withRunningClient(configuration) { client, _ in
            for number in 0..<3 { try client.enqueue("\(number)", to: "a") }
            let error = #expect(throws: MQTTError.self) { try client.enqueue("3", to: "a") }
            #expect(error?.code == .queueFull)
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            #expect(await broker.waitUntil { $0.publishes.map(\.text) == ["0", "1", "2"] })
            try client.enqueue("4", to: "a")
            #expect(await broker.waitUntil { $0.publishes.last?.text == "4" })
            await broker.stop()
        }
    }

    @Test func `what the broker refuses is an error of the call`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        broker.connackProperties = [0x24, 1, 0x27, 0, 0, 0, 100]
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let tooGood = await #expect(throws: MQTTError.self) {
                try await client.publish("x", to: "a", qos: .exactlyOnce)
            }
            #expect(tooGood?.reasonCode == .qosNotSupported)
            let tooBig = await #expect(throws: MQTTError.self) {
                try await client.publish([UInt8](repeating: 0, count: 200), to: "a")
            }
            #expect(tooBig?.reasonCode == .packetTooLarge)
            try await client.publish("x", to: "a")
        }
        await broker.stop()
    }
}
