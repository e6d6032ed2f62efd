// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("A broker's certificate that expires", .turn(.scripted), .timeLimit(.minutes(2)))
struct CertificateExpiryTests {
    /// Valid for some seconds yet.
    private static func shortLived() throws -> TestIdentity {
        try TestTLS.authority.serverIdentity(notAfter: Date(timeIntervalSinceNow: 8))
    }

    /// The chain of tickets ends, too: the session would be resumed, and no certificate looked at.
    @Test func `ends the connection gracefully, and the broker is refused`() async throws {
        let broker = try await ScriptedBroker.start(tls: try Self.shortLived())
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { !$0.failures.isEmpty })
            let error = try #require(await log.failures.first).error
            #expect(error.code == .tlsVerification)
            #expect(error.tls?.verification?.code == 10)
            #expect(await log.wait { $0.connections.count == 1 })
            #expect(broker.receivedPackets.contains { $0.type == .disconnect })
        }
        await broker.stop()
    }

    @Test func `ends the connection, and a broker that has renewed it is verified anew`() async throws {
        let broker = try await ScriptedBroker.start(tls: try Self.shortLived())
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try broker.replaceIdentity(TestTLS.identity)
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.failures.isEmpty)
            #expect(await log.wait { $0.connections.map { $0.tls?.resumed } == [false, false] })
        }
        await broker.stop()
    }

    @Test func `ends nothing if it is not to`() async throws {
        let broker = try await ScriptedBroker.start(tls: try Self.shortLived())
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.reconnectsAtCertificateExpiry = false
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            // A new client is refused when the certificate has expired.
            try await withRunningClient(testConfiguration(port: broker.port)) { _, other in
                #expect(await other.wait { !$0.failures.isEmpty })
            }
            try await client.publish("x", to: "a", qos: .atLeastOnce)
            #expect(await log.wait { $0.connections.count == 1 })
        }
        await broker.stop()
    }
}
