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

/// An issuer that is asked when a token is due or refused: new ones of this life each time.
private actor Issuer: MQTTCredentialProvider {
    nonisolated let reuse = MQTTCredentialReuse.untilRefresh
    private let life: TimeInterval
    private(set) var askedAt: [ContinuousClock.Instant] = []

    init(life: TimeInterval = 3_600) { self.life = life }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        askedAt.append(.now)
        return MQTTCredentials(username: "u", password: MQTTSecret("token-\(askedAt.count)"), expiresAt: .now + life)
    }
}

@Suite("The first refusal with a fresh token (core build 6)", .turn(.scripted), .timeLimit(.minutes(1)))
struct FirstRefusalTests {
    @Test(
        arguments: [
            (MQTTVersion.v5_0, 0x87), (.v5_0, 0x86), (.v3_1_1, 4), (.v3_1_1, 5),
        ] as [(MQTTVersion, UInt8)])
    func `is answered with another token at once, whatever the interval`(version: MQTTVersion, code: UInt8) async throws
    {
        let broker = try await ScriptedBroker.start(script: [.refuse(code: code, close: true), .serve])
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.retry.minimumAuthenticationDelay = .seconds(60)
        configuration.retry.maximumDelay = .seconds(60)
        configuration.credentials = Issuer()
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try #require(broker.connects.map(\.password) == ["token-1", "token-2"])
            // Waits for neither the delay nor the interval, which are 60 s each; only a busy machine may add time.
            #expect(broker.connects[1].at - broker.connects[0].at < .seconds(20))
            #expect(await log.wait { $0.failures.map(\.retryIn) == [.zero] })
        }
        await broker.stop()
    }

    /// The interval is half of the token's life.
    @Test func `is followed by the interval, in which there are no attempts that ask nobody`() async throws {
        let broker = try await ScriptedBroker.start(
            script: [.refuse(code: 0x87, close: true), .refuse(code: 0x87, close: true), .serve])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.retry.baseDelay = .milliseconds(10)
        configuration.retry.minimumAuthenticationDelay = .milliseconds(10)
        configuration.retry.maximumDelay = .milliseconds(20)
        configuration.rotation.refreshAt = nil
        let issuer = Issuer(life: 8)
        configuration.credentials = issuer
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try #require(broker.connects.map(\.password) == ["token-1", "token-2", "token-3"])
            let askedAt = await issuer.askedAt
            // 4 s between the client's wishes to ask; a busy machine may come late to the first of them. Without it, 20 ms.
            #expect(askedAt[2] - askedAt[1] > .milliseconds(500))
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await log.attempts.map(\.attempt) == [1, 2, 3])
            #expect(await log.wait { $0.failures.map(\.error.code) == [.notAuthorized, .notAuthorized] })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }
}
