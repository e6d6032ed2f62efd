// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing
import Turns

@Suite(
    "mosquitto with a plugin that checks JWTs", .turn(.brokers), .realBroker(.mosquitto), .serialized,
    .timeLimit(.minutes(3)))
struct MosquittoJWTTests {
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
        let forged = try JWTSigner().credentials(lifetime: .seconds(60))
        for bad in [expired, forged] {
            let refusal = try await broker.refusal(of: bad, wire, version: version)
            #expect(refusal.code == .notAuthorized)
            #expect(refusal.rawReasonCode == (version == .v5_0 ? 0x87 : 5))
        }
    }

    @Test(arguments: versions)
    func `rotation under traffic loses nothing, and QoS 2 comes once`(version: MQTTVersion) async throws {
        let broker = try RealBroker.current()
        try await broker.rotate(version: version, qualities: [.atLeastOnce, .exactlyOnce])
    }

    @Test(arguments: versions)
    func `without rotation it ends the connection, and nothing is lost`(version: MQTTVersion) async throws {
        let broker = try RealBroker.current()
        let disconnections = try await broker.expire(version: version, qualities: [.atLeastOnce, .exactlyOnce])
        #expect(disconnections.count == 2)
    }

    @Test(arguments: versions, Wire.secure)
    func `it disconnects with 0x98 when the token expires, or closes`(version: MQTTVersion, wire: Wire) async throws {
        let broker = try RealBroker.current()
        var configuration = broker.configuration(wire, version: version) { given in
            try broker.tokens.credentials(lifetime: .seconds(given == 0 ? 6 : 60))
        }
        configuration.rotation.refreshAt = nil
        try await withMQTTClient(configuration, logger: quiet) { client in
            let log = ClientLog(client)
            #expect(await eventually { log.disconnections.count == 1 && client.state.isConnected })
            let end = try #require(log.disconnections.first)
            #expect(end.reasonCode == (version == .v5_0 ? .administrativeAction : nil), "\(end)")
        }
    }
}
