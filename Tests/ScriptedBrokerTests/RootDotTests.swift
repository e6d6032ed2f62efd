// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite("A host with the root's dot", .turn(.scripted))
struct RootDotTests {
    @Test func `is verified by its certificate, which has no dot (core 19)`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.endpoints = [MQTTEndpoint(host: "localhost.", port: broker.port)]
        let resolver = ScriptedResolver(.success(["127.0.0.1"]))
        let client = MQTTClient(configuration, eventLoop: .shared, logger: quiet, resolve: resolver.resolve)
        try await withRunning(client) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(20))
            #expect(info.endpoint.host == "localhost.", "the name that was given is looked up")
            #expect(await log.failures.isEmpty)
        }
        await broker.stop()
    }

    @Test func `is not verified by the certificate of another one (core 19)`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.endpoints = [MQTTEndpoint(host: "other.example.", port: broker.port)]
        configuration.retry.limit = .attempts(1)
        let resolver = ScriptedResolver(.success(["127.0.0.1"]))
        let client = MQTTClient(configuration, eventLoop: .shared, logger: quiet, resolve: resolver.resolve)
        try await withRunning(client) { _, log in
            #expect(await log.wait { $0.stopped != nil })
            #expect(await log.wait { $0.failures.map(\.error.code) == [.tlsVerification] })
        }
        await broker.stop()
    }
}
