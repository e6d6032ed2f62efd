// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Every phase of an attempt has a deadline", .turn(.scripted))
struct DeadlineTests {
    /// Limits the time for one phase; the other limits are long enough for a busy machine.
    private func configuration(
        port: Int, _ phase: WritableKeyPath<MQTTTimeouts, Duration>
    ) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port)
        configuration.keepAlive = .zero
        configuration.timeouts[keyPath: phase] = .milliseconds(200)
        return configuration
    }

    @Test(arguments: [
        (ConnectionScript.silent, MQTTError.Phase.tlsHandshake), (.silentAfterConnect, .connack),
    ])
    func `a broker that stays silent fails the attempt, also without keep-alive`(
        script: ConnectionScript, phase: MQTTError.Phase
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [script, .serve])
        try await withRunningClient(
            configuration(port: broker.port, phase == .connack ? \.connack : \.tlsHandshake)
        ) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .timeout)
            #expect(failure.error.phase == phase)
        }
        await broker.stop()
    }

    @Test func `a host that swallows the SYN fails the attempt`() async throws {
        let hole = try Blackhole()
        try await withRunningClient(configuration(port: hole.port, \.connect)) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .timeout)
            #expect(failure.error.phase == .connect)
        }
    }

    @Test func `a provider that hangs fails the attempt`() async throws {
        var configuration = configuration(port: try freePort(), \.credentials)
        configuration.credentials = .closure { _ in
            try await Task.sleep(for: .seconds(3_600))
            return .anonymous
        }
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .credentials)
            #expect(failure.error.phase == .credentials)
        }
    }

    @Test func `waiting for a connection ends at its deadline, with the last failure`() async throws {
        try await withRunningClient(testConfiguration(port: try freePort())) { client, _ in
            let error = await #expect(throws: MQTTError.self) {
                try await client.waitUntilConnected(timeout: .milliseconds(300))
            }
            #expect(error?.code == .timeout)
        }
    }
}
