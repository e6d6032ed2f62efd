// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("For ever, as a duration (core 24)", .turn(.scripted), .timeLimit(.minutes(1)))
struct LongDurationTests {
    private static let forever = Duration.seconds(Int64.max)

    private func configuration(port: Int) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port, tls: nil)
        for timeout in [
            \MQTTTimeouts.credentials, \.resolve, \.connect, \.tlsHandshake, \.connack, \.attempt, \.drain, \.close,
        ] {
            configuration.timeouts[keyPath: timeout] = Self.forever
        }
        for delay in [
            \MQTTRetryPolicy.baseDelay, \.minimumDelay, \.maximumDelay, \.minimumAuthenticationDelay, \.resetAfter,
        ] {
            configuration.retry[keyPath: delay] = Self.forever
        }
        configuration.retry.limit = .elapsed(Self.forever)
        configuration.session = .persistent(expiry: .seconds(UInt32.max))
        configuration.clientID = "forever"
        configuration.metrics?.interval = Self.forever
        return configuration
    }

    @Test func `no time-out and no delay traps`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(port: broker.port)
        configuration.connection.firstConnection = .waitUntilConnected(within: Self.forever)
        configuration.credentials = .closure { _ in MQTTCredentials(username: "u", password: "p") }
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: Self.forever)
            broker.resetAll()
            #expect(await log.wait { !$0.disconnections.isEmpty })
            let delay = try #require(await log.disconnections.first?.retryIn)
            #expect(delay > .seconds(1_000_000))
            let waiting = Task { try await client.waitUntilConnected(timeout: Self.forever) }
            await client.reconnectNow()
            _ = try await waiting.value
            try await client.publish("x", to: "a", qos: .atLeastOnce)
            let request = Task { try await client.request("x", to: "nobody", timeout: Self.forever) }
            #expect(await broker.waitUntil { $0.publishes.contains { $0.topic == "nobody" } })
            request.cancel()
            let error = await #expect(throws: MQTTError.self) { _ = try await request.outcome.get() }
            #expect(error?.code == .cancelled)
        }
        await broker.stop()
    }

    @Test func `nor does what a provider asks for`() async throws {
        var configuration = configuration(port: try freePort())
        configuration.credentials = .closure { _ in
            throw MQTTCredentialError.transient("not in this life", retryAfter: Self.forever)
        }
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            await client.reconnectNow()
            await client.reconnectNow()
        }
    }
}
