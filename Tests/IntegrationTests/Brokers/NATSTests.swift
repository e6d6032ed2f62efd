// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing
import Turns

/// nats-server 2.9 speaks MQTT 3.1.1.
@Suite("nats-server with bearer JWTs", .turn(.brokers), .realBroker(.nats), .serialized, .timeLimit(.minutes(3)))
struct NATSTests {
    @Test(arguments: Wire.secure)
    func `messages of every QoS and size come back`(wire: Wire) async throws {
        try await RealBroker.current().expectMessagesComeBack(
            wire, version: .v3_1_1, qualities: [.atMostOnce, .atLeastOnce])
    }

    @Test(arguments: Wire.secure)
    func `an expired and a forged token are refused, and the next one heals it`(wire: Wire) async throws {
        let broker = try RealBroker.current()
        let expired = try broker.tokens.credentials(lifetime: .seconds(-60))
        let forged = try NATSTokens().credentials(lifetime: .seconds(60))
        for bad in [expired, forged] {
            let refusal = try await broker.refusal(of: bad, wire, version: .v3_1_1)
            #expect(refusal.code == .notAuthorized)
            #expect(refusal.rawReasonCode == 5)
        }
    }

    @Test(arguments: Wire.secure)
    func `MQTT 5 is not spoken: its refusal is one of MQTT 3.1.1`(wire: Wire) async throws {
        let broker = try RealBroker.current()
        var configuration = broker.configuration(wire, version: .v5_0) { _ in
            try broker.tokens.credentials(lifetime: .seconds(60))
        }
        configuration.retry.limit = .attempts(3)
        let client = MQTTClient(configuration, logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.phase == .connack, "\(error?.description ?? "")")
    }

    @Test func `rotation under traffic loses nothing`() async throws {
        let broker = try RealBroker.current()
        try await broker.rotate(version: .v3_1_1, qualities: [.atLeastOnce])
    }

    @Test func `without rotation it closes when the token expires, and nothing is lost`() async throws {
        let broker = try RealBroker.current()
        let disconnections = try await broker.expire(version: .v3_1_1, qualities: [.atLeastOnce])
        #expect(disconnections.map(\.code) == [.closed, .closed])
    }
}
