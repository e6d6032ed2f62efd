// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

/// Answers the first request, fails the second on demand, and answers the others.
private final class FailingProvider: MQTTCredentialProvider {
    private let gate: AsyncStream<Void>
    private let state = Mutex((asked: 0, hasFailed: false))
    private let open: AsyncStream<Void>.Continuation

    init() { (gate, open) = AsyncStream.makeStream(of: Void.self) }

    var questions: Int { state.withLock { $0.asked } }
    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    func fail() { open.finish() }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let number = state.withLock { state in
            state.asked += 1
            return state.asked
        }
        if number == 2 {
            for await _ in gate {}
            state.withLock { $0.hasFailed = true }
            throw MQTTCredentialError.transient("the issuer is down")
        }
        return MQTTCredentials(username: "u", password: MQTTSecret("token-\(number)"))
    }
}

@Suite("Who waits for a rotation (core 26)", .turn(.scripted), .timeLimit(.minutes(1)))
struct RotationWaiterTests {
    @Test func `a new certificate does not fail with a question for credentials`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM,
            script: [.withholdFirstAcknowledgement, .serve])
        let identity = try TestTLS.authority.clientIdentity(commonName: "dev1")
        let provider = FailingProvider()
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.identity = .pem(
            certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM))
        configuration.credentials = provider
        configuration.timeouts.drain = .seconds(20)
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            // Keeps the connection draining for as long as it is not acknowledged.
            async let published = client.publish("x", to: "a", qos: .atLeastOnce)
            #expect(await broker.waitUntil { $0.publishes.count == 1 })
            let credentials = Task { try await client.rotateCredentials() }
            #expect(await eventually { provider.questions == 2 })
            let certificate = Task { try await client.rotateIdentity() }
            #expect(await eventually { if case .disconnecting = client.state { true } else { false } })
            provider.fail()
            #expect(await eventually { provider.hasFailed })
            // The failure reaches the client before the following events, or not at all.
            try await Task.sleep(for: .milliseconds(50))
            let packet = try #require(broker.receivedPackets.first { $0.type == .publish }).bytes
            let topicEnd = 2 + 2 + 1
            broker.inject([0x40, 2, packet[topicEnd], packet[topicEnd + 1]])
            _ = try await published
            try await certificate.value
            try await credentials.value
            #expect(broker.connects.count == 2)
        }
        await broker.stop()
    }
}
