// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Returns a token of one hour, and hangs from the second request on.
private final class HangingProvider: MQTTCredentialProvider {
    private let asked = Mutex(0)

    var questions: Int { asked.withLock { $0 } }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        if number > 1 { try await Task.sleep(for: .seconds(3_600)) }
        return MQTTCredentials(username: "u", password: "t0ken", expiresAt: .now + 3_600)
    }
}

/// An authenticator that hangs.
private struct HangingAuthenticator: MQTTAuthenticator {
    let method = "HANG"

    func begin(with credentials: MQTTCredentials) async throws -> [UInt8]? {
        try await Task.sleep(for: .seconds(3_600))
        return nil
    }
}

@Suite("A provider that hangs, while its last token is valid (core 4)", .turn(.scripted), .timeLimit(.minutes(1)))
struct HangingProviderTests {
    private static let deadline = Duration.seconds(3)

    @Test func `reconnects within a second of the deadline, and then without it`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.timeouts.credentials = Self.deadline
        let provider = HangingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            var gaps: [Duration] = []
            for number in 2...5 {
                #expect(await log.wait { $0.connections.count == number - 1 })
                let loss = ContinuousClock.now
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count == number })
                gaps.append(broker.connects[number - 1].at - loss)
            }
            #expect(gaps[0] >= Self.deadline)
            #expect(gaps[0] < Self.deadline + .seconds(2), "a second, and what a busy machine needs")
            // One of several, for a machine that is busy: not one waited for the hang.
            #expect(gaps.dropFirst().min() ?? .zero < Self.deadline - .milliseconds(500), "\(gaps)")
            #expect(Set(broker.connects.map(\.password)) == ["t0ken"])
            #expect(await log.failures.isEmpty)
            // Each failed request is reported once.
            #expect(await log.wait { $0.credentialFailures.count == provider.questions - 1 })
            #expect(await log.credentialFailures.allSatisfy { $0.message.contains("took longer than") })
        }
        await broker.stop()
    }

    @Test func `an authenticator that hangs fails the attempt at the same deadline`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.timeouts.credentials = .milliseconds(100)
        configuration.authenticator = HangingAuthenticator()
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            let error = try #require(await log.failures.first?.error)
            #expect(error.code == .credentials)
            #expect(error.phase == .credentials)
            #expect(error.message == "the authenticator took longer than 0.1 seconds")
        }
        await broker.stop()
    }
}
