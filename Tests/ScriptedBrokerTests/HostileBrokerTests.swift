// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Nothing a broker sends can crash, hang or fool the client", .turn(.scripted))
struct HostileBrokerTests {
    /// CONNACK, then bytes that break the protocol; each would abort, stall or mislead libmosquitto 2.0.11.
    private static let accepted: [UInt8] = [0x20, 3, 0, 0, 0]

    @Test(
        arguments: [
            ("an unknown property", accepted + [0x40, 6, 0, 1, 0, 2, 0x7E, 0]),
            ("a second CONNACK", accepted + accepted),
            ("a packet that only clients send", accepted + [0x82, 2, 0, 1]),
            ("a PUBLISH of 256 MB", accepted + [0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 0x61]),
            ("a length of five bytes", accepted + [0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
            ("an unknown property in CONNACK", [0x20, 5, 0, 0, 2, 4, 1]),
            ("a PUBACK before CONNACK", [0x40, 2, 0, 1]),
        ], [TestTLS.identity, nil])
    func `a violation of the protocol is a typed failure, and the client goes on`(
        violation: (what: String, bytes: [UInt8]), tls: TestIdentity?
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: tls, script: [.reply(violation.bytes, close: false), .serve])
        var configuration = testConfiguration(port: broker.port)
        if tls == nil { configuration.tls = nil }
        configuration.receiving.maximumPacketSize = 1_000_000
        try await withRunningClient(configuration) { client, log in
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            try await client.publish("alive", to: "a")
            #expect(
                await log.wait {
                    $0.failures.map(\.error.code) + $0.disconnections.map(\.error.code) == [.protocolViolation]
                })
        }
        await broker.stop()
    }

    @Test func `a refusal that an acceptance follows is a refusal`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.reply([0x20, 3, 0, 0x88, 0] + Self.accepted, close: false), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { $0.failures.map(\.error.rawReasonCode) == [0x88] })
            #expect(broker.connects.count == 2)
        }
        await broker.stop()
    }

    @Test func `a 3.1.1 refusal of a 5.0 client is understood`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.reply([0x20, 2, 0, 1], close: true)])
        let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.reasonCode == .unsupportedProtocolVersion)
        await broker.stop()
    }

    @Test func `a DISCONNECT tells its code, reason and server reference`() async throws {
        let reason = Array("maintenance".utf8)
        let reference = Array("other.example:8883".utf8)
        let properties: [UInt8] =
            [0x1F, 0, UInt8(reason.count)] + reason + [0x1C, 0, UInt8(reference.count)] + reference
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [.serveThenDisconnect(reasonCode: 0x8B, properties: properties, after: .milliseconds(50)), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            #expect(await log.wait { !$0.disconnections.isEmpty })
            let lost = try #require(await log.disconnections.first)
            #expect(lost.error.reasonCode == .serverShuttingDown)
            #expect(lost.error.reasonString == "maintenance")
            #expect(lost.error.serverReference == "other.example:8883")
            try await client.publish("back", to: "a")
        }
        await broker.stop()
    }

    @Test func `a DISCONNECT without any content is a normal one`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.reply(Self.accepted + [0xE0, 0], close: true), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            #expect(await log.wait { $0.disconnections.map(\.error.reasonCode) == [.success] })
            try await client.waitUntilConnected(timeout: .seconds(30))
        }
        await broker.stop()
    }

    @Test func `a session that was taken over is not taken back`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.serveThenDisconnect(reasonCode: 0x8E, after: .milliseconds(20))])
        let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.reasonCode == .sessionTakenOver)
        #expect(broker.connects.count == 1)
        await broker.stop()
    }
}
