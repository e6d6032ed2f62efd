// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A CONNACK that says what it must not is named, and the next one is taken", .turn(.scripted))
struct ImproperConnackTests {
    private static let improper: [(properties: [UInt8], name: String)] = [
        ([0x21, 0, 0], "Receive Maximum 0"), ([0x24, 2], "Maximum QoS 2"), ([0x25, 2], "Retain Available 2"),
        ([0x27, 0, 0, 0, 0], "Maximum Packet Size 0"),
    ]

    private func connack(_ properties: [UInt8], flags: UInt8 = 0) -> [UInt8] {
        [0x20, UInt8(3 + properties.count), flags, 0, UInt8(properties.count)] + properties
    }

    /// The failures before the connection that finally succeeds.
    private func failures(_ bytes: [UInt8], _ version: MQTTVersion, isTLS: Bool) async throws -> [MQTTError] {
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil, script: [.reply(bytes, close: false), .serve])
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isTLS { configuration.tls = nil }
        let errors = try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(20))
            try await client.publish("alive", to: "a", qos: .atLeastOnce)
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await log.failures.allSatisfy { $0.decision == .retry(.slow) })
            return await log.failures.map(\.error)
        }
        await broker.stop()
        return errors
    }

    @Test(arguments: improper.indices, [true, false])
    func `a property with a forbidden value is a protocol error (core 21)`(index: Int, isTLS: Bool) async throws {
        let (properties, name) = Self.improper[index]
        let errors = try await failures(connack(properties), .v5_0, isTLS: isTLS)
        #expect(errors.map(\.code) == [.protocolViolation])
        #expect(errors.first?.message.contains("CONNACK with \(name)") == true)
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [true, false])
    func `a session after a clean start is a protocol error (core 22)`(version: MQTTVersion, isTLS: Bool) async throws {
        let bytes = version == .v5_0 ? connack([], flags: 1) : [0x20, 2, 1, 0]
        let errors = try await failures(bytes, version, isTLS: isTLS)
        #expect(errors.map(\.code) == [.protocolViolation])
        #expect(errors.first?.message.contains("session present") == true)
    }

    @Test(arguments: [true, false])
    func `an assigned identifier that nobody asked for is harmless (core 30)`(isTLS: Bool) async throws {
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil,
            script: [.reply(connack([0x21, 0, 9, 0x12, 0, 1, 0x78]), close: false)])
        var configuration = testConfiguration(port: broker.port)
        if !isTLS { configuration.tls = nil }
        configuration.clientID = "mine"
        try await withRunningClient(configuration) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(20))
            #expect(info.clientID == "mine")
            #expect(info.properties.receiveMaximum == 9)
            #expect(await log.failures.isEmpty)
        }
        await broker.stop()
    }
}
