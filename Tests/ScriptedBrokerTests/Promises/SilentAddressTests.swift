// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// Two addresses of one name, of which the one that the system prefers only completes TCP: its process hangs, or its
/// TLS is broken.
@Suite(
    "An address that takes connections and gives no CONNACK is not the first one of the next attempt", .turn(.scripted))
struct SilentAddressTests {
    private static let failures: [ConnectionScript] = [
        .silent, .silentAfterConnect, .closeOnAccept, .closeAfterConnect, .resetMidHandshake,
        .reply(BrokerBytes.refusal(0x88, .v5_0), close: true), .reply([0x20, 2, 0, 0], close: false),
    ]

    @Test(arguments: failures, [true, false])
    func `the second attempt begins with the other one (core 12)`(script: ConnectionScript, isTLS: Bool) async throws {
        let good = try await ScriptedBroker.start(tls: isTLS ? TestTLS.identity : nil)
        let bad = try await ScriptedBroker.start(
            address: "127.0.0.2", port: good.port, tls: isTLS ? TestTLS.identity : nil, script: [script])
        var configuration = testConfiguration(port: good.port)
        if !isTLS { configuration.tls = nil }
        configuration.timeouts.tlsHandshake = .seconds(5)
        configuration.timeouts.connack = .seconds(5)
        configuration.retry.decide = { _ in .retry(.standard) }
        let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.1"]))
        let client = MQTTClient(configuration, eventLoop: .shared, logger: quiet, resolve: resolver.resolve)
        try await withRunning(client) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(40))
            #expect(info.address == "127.0.0.1")
            #expect(info.attempt == 2)
            #expect(await log.wait { $0.failures.count == 1 })
        }
        await good.stop()
        await bad.stop()
    }

    @Test func `a broker that has answered with a refusal stays the first one (core 12)`() async throws {
        var isFirst = false
        // When the machine is busy, the second address may be tried too before the first one has answered.
        for _ in 0..<20 where !isFirst {
            let good = try await ScriptedBroker.start(tls: TestTLS.identity)
            let preferred = try await ScriptedBroker.start(
                address: "127.0.0.2", port: good.port, tls: TestTLS.identity,
                script: [.refuse(code: 0x87, close: true), .serve])
            var configuration = testConfiguration(port: good.port)
            configuration.retry.decide = { _ in .retry(.standard) }
            let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.1"]))
            let client = MQTTClient(configuration, eventLoop: .shared, logger: quiet, resolve: resolver.resolve)
            try await withRunning(client) { client, _ in
                let info = try await client.waitUntilConnected(timeout: .seconds(40))
                isFirst = info.address == "127.0.0.2" && info.attempt == 2 && good.acceptedConnections == 0
            }
            await good.stop()
            await preferred.stop()
        }
        #expect(isFirst)
    }
}
