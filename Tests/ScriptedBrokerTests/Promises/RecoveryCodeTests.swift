// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite("Reason codes of recovery are no failures (core 9)", .turn(.scripted), .timeLimit(.minutes(1)))
struct RecoveryCodeTests {
    /// Leaves every packet of the type unanswered.
    private func ignoring(_ type: ReceivedPacketType) -> ConnectionScript {
        .disconnectOn(type, count: 10_000, reasonCode: 0)
    }

    private func withClient(
        _ script: [ConnectionScript], _ body: (MQTTClient, ScriptedBroker) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(script: script)
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        configuration.timeouts.drain = .milliseconds(200)
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await body(client, broker)
        }
        await broker.stop()
    }

    /// PUBLISH packets to "a", in the order of arrival.
    private func publishes(_ broker: ScriptedBroker) -> [(packetID: [UInt8], isRepeated: Bool, text: String)] {
        broker.receivedPackets.filter { $0.type == .publish }.map { packet in
            // Type, Remaining Length, topic, packet identifier, no properties, payload.
            (
                Array(packet.bytes[5...6]), packet.flags & 8 != 0,
                String(decoding: packet.bytes[8...], as: UTF8.self)
            )
        }
    }

    private func publish(_ client: MQTTClient, _ qos: MQTTQoS = .exactlyOnce) -> Task<MQTTPublishResult, any Error> {
        Task { try await client.publish("x", to: "a", qos: qos) }
    }

    @Test func `PUBCOMP with 0x92 to a PUBREL that was sent again`() async throws {
        try await withClient([.disconnectOn(.pubrel, reasonCode: 0), ignoring(.pubrel)]) { client, broker in
            let call = publish(client)
            #expect(await broker.waitUntil { $0.count(of: .pubrel) == 2 })
            broker.inject([0x70, 4] + publishes(broker)[0].packetID + [0x92, 0])
            let result = try await call.value
            #expect(result.reasonCode == .success)
            #expect(broker.publishCount == 1)
        }
    }

    @Test func `PUBREC with 0x91 to a PUBLISH that was sent again goes on with PUBREL`() async throws {
        try await withClient([.disconnectOn(.publish, reasonCode: 0), ignoring(.publish)]) { client, broker in
            let call = publish(client)
            #expect(await broker.waitUntil { $0.count(of: .publish) == 2 })
            let packetID = publishes(broker)[1].packetID
            broker.inject([0x50, 4] + packetID + [0x91, 0])
            let result = try await call.value
            #expect(result.reasonCode == .success)
            #expect(broker.receivedPackets.last { $0.type == .pubrel }?.bytes == [0x62, 2] + packetID)
            #expect(broker.count(of: .publish) == 2)
        }
    }

    @Test(arguments: [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `an identifier that an earlier process has left in use makes way for the next one`(qos: MQTTQoS) async throws {
        try await withClient([ignoring(.publish)]) { client, broker in
            for number in 1...3 { try client.enqueue("\(number)", to: "a", qos: qos) }
            let call = publish(client, qos)
            #expect(await broker.waitUntil { $0.count(of: .publish) == 4 })
            let first = publishes(broker).map(\.packetID)
            // The identifiers of the last three of four are in use.
            let answer: UInt8 = qos == .atLeastOnce ? 0x40 : 0x50
            broker.inject(first.dropFirst().flatMap { [answer, 4] + $0 + [0x91, 0] })
            #expect(await broker.waitUntil { $0.count(of: .publish) == 7 })
            let again = publishes(broker).dropFirst(4)
            #expect(again.map(\.text) == ["2", "3", "x"])
            #expect(again.allSatisfy { !$0.isRepeated })
            #expect(Set(first + again.map(\.packetID)).count == 7)
            let last = publishes(broker)[6].packetID
            broker.inject([answer, 2] + last + (qos == .exactlyOnce ? [0x70, 2] + last : []))
            let result = try await call.value
            #expect(result.reasonCode == .success)
        }
    }

    @Test func `a broker that finds every identifier in use is believed in the end`() async throws {
        try await withClient([ignoring(.publish)]) { client, broker in
            let call = publish(client)
            for number in 0...100 {
                #expect(await broker.waitUntil { $0.count(of: .publish) == number + 1 })
                broker.inject([0x50, 4] + publishes(broker)[number].packetID + [0x91, 0])
            }
            let error = await #expect(throws: MQTTError.self) { _ = try await call.value }
            #expect(error?.reasonCode == .packetIdentifierInUse)
            #expect(broker.count(of: .publish) == 101)
        }
    }
}

@Suite("A process that resumes a session leaves the identifiers of the last one alone (core 14)", .turn(.scripted))
struct ForeignPacketIDTests {
    private func configuration(_ broker: ScriptedBroker) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        configuration.clientID = "returning"
        configuration.timeouts.drain = .milliseconds(100)
        return configuration
    }

    @Test func `a message that is half way does not swallow a new one`() async throws {
        let broker = try await ScriptedBroker.start(script: [
            .disconnectOn(.pubrel, count: 10_000, reasonCode: 0), .serve,
        ])
        try await withRunningClient(configuration(broker)) { client, _ in
            try client.enqueue("old", to: "a", qos: .exactlyOnce)
            #expect(await broker.waitUntil { $0.count(of: .pubrel) == 1 })
        }
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.publish("new", to: "a", qos: .exactlyOnce)
            #expect(broker.routedMessages.map(\.text) == ["new"])
        }
        await broker.stop()
    }

    @Test func `a new session counts from 1, a resumed one from anywhere`() async throws {
        let broker = try await ScriptedBroker.start()
        for _ in 0..<4 {
            _ = try await withRunningClient(configuration(broker)) { client, _ in
                try await client.publish("x", to: "a")
            }
        }
        let identifiers = broker.receivedPackets.filter { $0.type == .publish }.map { $0.bytes[5...6] }
        #expect(identifiers.first == [0, 1])
        #expect(Set(identifiers).count > 2)
        await broker.stop()
    }
}
