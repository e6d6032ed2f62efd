// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("What a clean session leaves behind", .turn(.scripted), .timeLimit(.minutes(1)))
struct CleanSessionExpiryTests {
    @Test func `every connection begins anew, and asks the broker to keep what it leaves`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.connect.cleanSessionExpiry = .seconds(60)
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected()
            broker.dropAll()
            #expect(await broker.waitUntil { $0.connects.count == 2 })
            try await client.waitUntilConnected()
            try await client.shutdown(MQTTDisconnect(sessionExpiry: .seconds(5)))
        }
        #expect(broker.connects.allSatisfy { $0.cleanStart && $0.sessionExpiry == 60 })
        await broker.stop()
    }

    @Test(arguments: [
        (Duration.milliseconds(999), MQTTSession.clean, MQTTVersion.v5_0), (.seconds(-1), .clean, .v5_0),
        (.seconds(4_294_967_296), .clean, .v5_0), (.seconds(5), .persistent, .v5_0), (.seconds(5), .clean, .v3_1_1),
    ])
    func `what makes no sense is refused`(expiry: Duration, session: MQTTSession, version: MQTTVersion) {
        var configuration = MQTTClientConfiguration(host: "b", tls: nil)
        configuration.clientID = "c"
        configuration.version = version
        configuration.session = session
        configuration.connect.cleanSessionExpiry = expiry
        let error = #expect(throws: MQTTError.self) { try configuration.validate() }
        #expect(error?.message.contains("connect.cleanSessionExpiry") == true)
    }
}

@Suite("libmosquitto's own lines", .turn(.scripted), .timeLimit(.minutes(1)))
struct PacketLogTests {
    private func messages(_ level: Logger.Level) async throws -> [String] {
        let lines = CollectingLogHandler.Lines()
        let broker = try await ScriptedBroker.start()
        var logger = Logger(label: "test") { _ in CollectingLogHandler(lines: lines) }
        logger.logLevel = level
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.credentials = .static(username: "me", password: "hush")
        try await withRunning(MQTTClient(configuration, logger: logger)) { client, _ in
            _ = try await client.publish("a payload", to: "a/topic")
        }
        await broker.stop()
        return lines.all.filter { $0.level == .trace }.map(\.message)
    }

    @Test func `each packet is a line at trace, without a secret or a payload`() async throws {
        let lines = try await messages(.trace)
        for packet in [
            "sending CONNECT", "received CONNACK", "sending PUBLISH", "received PUBACK", "sending DISCONNECT",
        ] {
            #expect(lines.contains { $0.contains(packet) })
        }
        #expect(!lines.contains { $0.contains("hush") || $0.contains("a payload") })
    }

    @Test func `there are none at another level`() async throws {
        #expect(try await messages(.debug) == [])
    }
}
