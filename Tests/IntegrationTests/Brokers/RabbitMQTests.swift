// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing
import Turns

/// RabbitMQ speaks MQTT 3.1.1, and handles QoS 2 as QoS 1.
@Suite("RabbitMQ with OAuth 2", .turn(.brokers), .realBroker(.rabbitMQ), .serialized, .timeLimit(.minutes(3)))
struct RabbitMQTests {
    @Test(arguments: Wire.secure)
    func `messages of every QoS and size come back`(wire: Wire) async throws {
        try await RealBroker.current().expectMessagesComeBack(
            wire, version: .v3_1_1, qualities: [.atMostOnce, .atLeastOnce])
    }

    /// Over WebSockets RabbitMQ 3.10 closes without a CONNACK.
    @Test(arguments: Wire.secure)
    func `an expired and a forged token are refused with code 4, and the next one heals it`(
        wire: Wire
    ) async throws {
        let broker = try RealBroker.current()
        let expired = try broker.tokens.credentials(lifetime: .seconds(-60))
        let forged = try JWTSigner().credentials(lifetime: .seconds(60))
        for bad in [expired, forged] {
            let refusal = try await broker.refusal(of: bad, wire, version: .v3_1_1)
            #expect(refusal.code == (wire.isWebSocket ? .closed : .notAuthorized))
            #expect(refusal.rawReasonCode == (wire.isWebSocket ? nil : 4))
            #expect(refusal.phase == .connack)
        }
    }

    @Test(arguments: Wire.secure)
    func `MQTT 5 is not spoken: it closes without a CONNACK, whatever the token`(wire: Wire) async throws {
        let broker = try RealBroker.current()
        var configuration = broker.configuration(wire, version: .v5_0) { _ in
            try broker.tokens.credentials(lifetime: .seconds(60))
        }
        configuration.retry.limit = .attempts(3)
        let client = MQTTClient(configuration, logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.code == .closed)
        #expect(error?.phase == .connack)
    }

    @Test func `rotation under traffic loses nothing`() async throws {
        try await RealBroker.current().rotate(version: .v3_1_1, qualities: [.atLeastOnce])
    }

    @Test func `without rotation it closes at a publish after expiry, and nothing is lost`() async throws {
        let disconnections = try await RealBroker.current().expire(version: .v3_1_1, qualities: [.atLeastOnce])
        #expect(disconnections.map(\.code) == [.closed, .closed])
    }

    @Test func `a client that publishes nothing stays connected after expiry, and its first publish is sent again`()
        async throws
    {
        try await outlive { _ in
            try await Task.sleep(for: .seconds(14))
        }
    }

    /// RabbitMQ caches the topics to which a client may publish, as long as the client is never silent for long.
    @Test func `a client that publishes to one topic all the time may go on after expiry, but not to another one`()
        async throws
    {
        try await outlive { client in
            let start = ContinuousClock.now
            while ContinuousClock.now - start < .seconds(14) {
                try await client.publish("again", to: "known")
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Runs a client for 14 seconds with a token that is valid for twelve. Its next publish ends the connection, and
    /// is sent again with the next token.
    private func outlive(_ body: @escaping @Sendable (MQTTClient) async throws -> Void) async throws {
        let broker = try RealBroker.current()
        var configuration = broker.configuration(version: .v3_1_1) { given in
            try broker.tokens.credentials(lifetime: .seconds(given == 0 ? 12 : 60))
        }
        configuration.rotation.refreshAt = nil
        try await withMQTTClient(configuration, logger: quiet) { client in
            let log = ClientLog(client)
            try await client.subscribe(to: MQTTSubscription("unknown")) { messages in
                try await body(client)
                #expect(client.state.isConnected)
                #expect(log.disconnections.isEmpty)
                try await client.publish("after expiry", to: "unknown")
                #expect(await eventually { log.disconnections.map(\.code) == [.closed] })
                var received = messages.makeAsyncIterator()
                #expect(await received.next()?.payloadString == "after expiry")
            }
        }
    }
}
