// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A QoS 2 message is delivered once, with its own payload", .turn(.scripted))
struct ExactlyOnceTests {
    /// PUBLISH of QoS 2 to "a".
    private func publish(_ packetID: UInt8, _ payload: String, isRepeated: Bool = false) -> [UInt8] {
        let body: [UInt8] = [0, 1, 0x61, 0, packetID, 0] + Array(payload.utf8)
        return [isRepeated ? 0x3C : 0x34, UInt8(body.count)] + body
    }

    /// Leaves PUBREC unanswered: the test decides when to release the message.
    private static let script = ConnectionScript.disconnectOn(.pubrec, count: 1_000, reasonCode: 0)

    private func release(_ packetID: UInt8) -> [UInt8] { [0x62, 2, 0, packetID] }

    @Test(arguments: [MQTTAcknowledgement.onReceipt, .afterHandling], [true, false])
    func `even if the broker sends it twice, and then uses its identifier again`(
        acknowledgement: MQTTAcknowledgement, isEncrypted: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: isEncrypted ? TestTLS.identity : nil, script: [Self.script])
        var configuration = testConfiguration(port: broker.port)
        if !isEncrypted { configuration.tls = nil }
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        // libmosquitto counts a repeated message twice against this, for ever.
        configuration.receiving.receiveMaximum = 3
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var iterator = messages.makeAsyncIterator()
                for round in 0..<10 {
                    broker.inject(publish(9, "\(round)") + publish(9, "\(round)", isRepeated: true))
                    #expect(await iterator.next()?.payloadString == "\(round)")
                    broker.inject(publish(9, "\(round)", isRepeated: true) + release(9))
                }
                broker.inject(publish(9, "end"))
                #expect(await iterator.next()?.payloadString == "end")
            }
            #expect(broker.connects.count == 1)
            #expect(await log.disconnections.isEmpty)
        }
        await broker.stop()
    }

    @Test func `across connections, and not after a session that was lost`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [Self.script])
        var configuration = testConfiguration(port: broker.port)
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var iterator = messages.makeAsyncIterator()
                broker.inject(publish(9, "first"))
                #expect(await iterator.next()?.payloadString == "first")
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count == 2 })
                try await client.publish("connected", to: "other")
                broker.inject(publish(9, "first", isRepeated: true) + release(9) + publish(9, "second"))
                #expect(await iterator.next()?.payloadString == "second")
            }
        }
        await broker.stop()

        let forgetful = try await ScriptedBroker.start(tls: TestTLS.identity, script: [Self.script])
        configuration = testConfiguration(port: forgetful.port)
        try await withRunningClient(configuration) { client, log in
            try await client.subscribe(to: MQTTSubscription("a", qos: .exactlyOnce)) { messages in
                var iterator = messages.makeAsyncIterator()
                forgetful.inject(publish(9, "of the old session"))
                #expect(await iterator.next()?.payloadString == "of the old session")
                forgetful.resetAll()
                #expect(await log.wait { $0.names.contains("resubscribed") })
                forgetful.inject(publish(9, "of the new one"))
                #expect(await iterator.next()?.payloadString == "of the new one")
            }
        }
        await forgetful.stop()
    }

    @Test func `what PUBREC says is the result of the publish`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.disconnectOn(.publish, count: 9, reasonCode: 0)])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let publish = Task { try await client.publish("x", to: "a", qos: .exactlyOnce) }
            #expect(await broker.waitUntil { $0.count(of: .publish) == 1 })
            let packet = try #require(broker.receivedPackets.first { $0.type == .publish }).bytes
            let packetID = Array(packet[5...6])
            // "No matching subscribers", a Reason String and a User Property; then PUBCOMP.
            let properties: [UInt8] = [0x1F, 0, 2, 0x68, 0x69, 0x26, 0, 1, 0x6B, 0, 1, 0x76]
            broker.inject(
                [0x50, UInt8(4 + properties.count)] + packetID + [0x10, UInt8(properties.count)] + properties)
            #expect(await broker.waitUntil { $0.count(of: .pubrel) == 1 })
            broker.inject([0x70, 2] + packetID)
            let result = try await publish.value
            #expect(result.reasonCode == .noMatchingSubscribers)
            #expect(result.reasonString == "hi")
            #expect(result.userProperties == [MQTTUserProperty("k", "v")])
        }
        await broker.stop()
    }
}

@Suite("Consumers whose filters overlap get each message once", .turn(.scripted))
struct OverlapTests {
    private func expectEachOnce(mergesCopies: Bool) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        broker.mergesCopies = mergesCopies
        try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
            try await client.subscribe(to: "a/#", MQTTSubscription("a/b", qos: .exactlyOnce)) { all in
                try await client.subscribe(to: "+/b") { some in
                    for number in 0..<20 { try await client.publish("\(number)", to: "a/b", qos: .exactlyOnce) }
                    try await client.publish("end", to: "a/b", qos: .exactlyOnce)
                    for messages in [all, some] {
                        var seen: [String] = []
                        for await message in messages {
                            seen.append(message.payloadString)
                            if message.payloadString == "end" { break }
                        }
                        #expect(seen == (0..<20).map(String.init) + ["end"])
                    }
                }
            }
            #expect(broker.connects.count == 1)
            #expect(broker.errors.isEmpty)
        }
        await broker.stop()
    }

    @Test func `from a broker that sends a copy for each subscription`() async throws {
        try await expectEachOnce(mergesCopies: false)
    }

    /// libmosquitto would not accept such a message.
    @Test func `from a broker that names all subscriptions in one`() async throws {
        try await expectEachOnce(mergesCopies: true)
    }
}
