// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing
import Turns

@Suite("ejabberd with JWTs", .turn(.brokers), .realBroker(.ejabberd), .serialized, .timeLimit(.minutes(3)))
struct EjabberdTests {
    static let versions: [MQTTVersion] = [.v3_1_1, .v5_0]

    @Test(arguments: versions, Wire.secure)
    func `messages of every QoS and size come back`(version: MQTTVersion, wire: Wire) async throws {
        try await RealBroker.current().expectMessagesComeBack(wire, version: version, qualities: MQTTQoS.allCases)
    }

    @Test(arguments: versions, Wire.secure)
    func `an expired and a forged token are refused, and the next one heals it`(
        version: MQTTVersion, wire: Wire
    ) async throws {
        let broker = try RealBroker.current()
        let expired = try broker.tokens.credentials(lifetime: .seconds(-60))
        let forged = try JWTSigner(subject: "dev1@localhost").credentials(lifetime: .seconds(60))
        for bad in [expired, forged] {
            let refusal = try await broker.refusal(of: bad, wire, version: version)
            #expect(refusal.code == .notAuthorized)
            #expect(refusal.rawReasonCode == (version == .v5_0 ? 0x87 : 5))
        }
    }

    @Test(arguments: versions)
    func `rotation under traffic loses nothing, and QoS 2 comes once`(version: MQTTVersion) async throws {
        try await RealBroker.current().rotate(version: version, qualities: [.atLeastOnce, .exactlyOnce])
    }

    @Test(arguments: versions)
    func `without rotation it goes on with the expired token`(version: MQTTVersion) async throws {
        let broker = try RealBroker.current()
        let disconnections = try await broker.expire(
            version: version, qualities: [.atLeastOnce, .exactlyOnce], ends: false)
        #expect(disconnections.isEmpty)
    }
}
