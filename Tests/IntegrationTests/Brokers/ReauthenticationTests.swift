// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite(
    "Re-authentication with mosquitto", .turn(.brokers), .realBroker(.mosquitto), .serialized, .timeLimit(.minutes(3)))
struct ReauthenticationTests {
    /// A client that authenticates with AUTH, with tokens from a closure that receives the number of earlier tokens.
    private func configuration(
        _ broker: RealBroker, _ wire: Wire, _ credentials: @escaping @Sendable (Int) throws -> MQTTCredentials
    ) -> MQTTClientConfiguration {
        var configuration = broker.configuration(wire, version: .v5_0, credentials: credentials)
        configuration.authenticator = .token(method: "JWT")
        configuration.rotation.method = .reauthenticate
        return configuration
    }

    @Test func `three rotations and an expiry pass on one connection, and nothing is delayed`() async throws {
        let broker = try RealBroker.current()
        let life = ShortLife.length
        func client(_ name: String, _ wire: Wire) -> MQTTClientConfiguration {
            var configuration = configuration(broker, wire) { [tokens = broker.tokens] _ in
                try tokens.credentials(lifetime: life)
            }
            configuration.clientID = "reauthentication-\(name)"
            ShortLife.rotate(&configuration)
            return configuration
        }
        let traffic = try await BrokerTraffic.run(
            (client("left", .tls), client("right", .wss)), qualities: [.atMostOnce, .atLeastOnce, .exactlyOnce]
        ) { $0.gaps.count >= 3 && $0.age > life + .seconds(2) }
        print(traffic.summary("mosquitto-jwt v5_0, re-authentication"))
        traffic.expectNothingLost()
        #expect(traffic.gaps.count >= 6)
        #expect(traffic.gaps.allSatisfy { $0 == .zero })
        #expect(traffic.disconnections.isEmpty)
    }

    @Test(arguments: Wire.secure)
    func `a refused re-authentication is followed by a connection with the next token`(wire: Wire) async throws {
        let broker = try RealBroker.current()
        // The second token, which the re-authentication sends, has expired.
        let client = MQTTClient(
            configuration(broker, wire) { [tokens = broker.tokens] given in
                try tokens.credentials(lifetime: .seconds(given == 1 ? -60 : 3_600))
            }, logger: quiet)
        let log = ClientLog(client)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        let publish = Task { try await client.publish("x", to: "a", qos: .exactlyOnce) }
        try await client.rotateCredentials(.reauthenticate)
        _ = try await publish.value
        #expect(await eventually(timeout: .seconds(30)) { log.connections == 2 })
        #expect(log.disconnections.map(\.code) == [.notAuthorized])
        // From then on, re-authentication works.
        try await client.rotateCredentials(.reauthenticate)
        #expect(log.connections == 2)
        try? await client.shutdown()
    }

    @Test(arguments: Wire.secure)
    func `a challenge is answered, when connecting and when re-authenticating`(wire: Wire) async throws {
        struct Answering: MQTTAuthenticator {
            let method = "JWT-CR"
            let challenges = Counter()

            func begin(with credentials: MQTTCredentials) async throws -> [UInt8]? { nil }

            func respond(to challenge: [UInt8], with credentials: MQTTCredentials) async throws -> [UInt8]? {
                _ = challenges.next()
                let nonce = String(decoding: challenge, as: UTF8.self)
                return Array("\(credentials.password?.text ?? "") \(nonce)".utf8)
            }
        }
        let broker = try RealBroker.current()
        var configuration = configuration(broker, wire) { [tokens = broker.tokens] _ in
            try tokens.credentials(lifetime: .seconds(3_600))
        }
        let authenticator = Answering()
        configuration.authenticator = authenticator
        let client = MQTTClient(configuration, logger: quiet)
        let log = ClientLog(client)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        try await client.publish("x", to: "a")
        try await client.rotateCredentials(.reauthenticate)
        try await client.publish("x", to: "a")
        #expect(log.connections == 1)
        #expect(authenticator.challenges.next() == 2)
        try? await client.shutdown()
    }

    @Test(arguments: Wire.secure)
    func `an unknown method ends the client with the broker's reason`(wire: Wire) async throws {
        let broker = try RealBroker.current()
        var configuration = configuration(broker, wire) { [tokens = broker.tokens] _ in
            try tokens.credentials(lifetime: .seconds(3_600))
        }
        configuration.authenticator = .token(method: "unheard-of")
        let client = MQTTClient(configuration, logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.run() }
        #expect(error?.reasonCode == .badAuthenticationMethod)
        #expect(error?.phase == .connack)
    }
}
