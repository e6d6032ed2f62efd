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

/// A file that is renewed late: the same token, time and again.
private actor LateFile: MQTTCredentialProvider {
    private let life: TimeInterval
    private var end: Date?
    private(set) var rotations = 0

    init(life: TimeInterval) { self.life = life }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        if attempt.purpose == .rotation { rotations += 1 }
        let end = end ?? .now + life
        self.end = end
        return MQTTCredentials(username: "u", password: "t0ken", expiresAt: end)
    }
}

@Suite("A token that is renewed late (newcomer D6)", .turn(.scripted), .timeLimit(.minutes(1)))
struct LateRotationTests {
    private func run(
        life: TimeInterval, _ body: (MQTTClient, LateFile, EventLog) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.rotation.refreshAt = 0.01
        let file = LateFile(life: life)
        configuration.credentials = file
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await body(client, file, log)
        }
        await broker.stop()
    }

    @Test func `is looked for quietly before nine tenths of its life`() async throws {
        try await run(life: 600) { client, file, log in
            let error = await #expect(throws: MQTTError.self) { try await client.rotateCredentials() }
            #expect(error?.message == "the credential provider has nothing new", "who asks for it hears of it")
            // By itself, a second later.
            #expect(await eventually { await file.rotations >= 2 })
            #expect(await log.credentialFailures.isEmpty)
            #expect(await log.disconnections.isEmpty)
        }
    }

    @Test func `is a failure from then on`() async throws {
        try await run(life: 1) { _, _, log in
            #expect(await log.wait { !$0.credentialFailures.isEmpty })
            #expect(await log.credentialFailures.first?.message == "the credential provider has nothing new yet")
        }
    }
}
