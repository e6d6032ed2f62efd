// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing

/// Tokens that are rotated every six seconds. They are valid for four times as long, so that none expires while a busy
/// machine rotates it.
enum ShortLife {
    static let length = Duration.seconds(24)

    static func rotate(_ configuration: inout MQTTClientConfiguration) {
        configuration.rotation.refreshAt = 0.25
        configuration.rotation.jitter = 0
    }
}

extension RealBroker {
    /// Publishes messages of all sizes over a wire, and expects them back.
    func expectMessagesComeBack(
        _ wire: Wire, version: MQTTVersion, qualities: [MQTTQoS], sizes: [Int] = Sizes.all
    ) async throws {
        func client(_ wire: Wire) -> MQTTClientConfiguration {
            var configuration = configuration(wire, version: version) { [tokens] _ in
                try tokens.credentials(lifetime: .seconds(60))
            }
            configuration.session = .clean
            return configuration
        }
        let sender = client(wire)
        let echo: @Sendable () async throws -> MQTTConnectionInfo = {
            try await IntegrationTests.expectMessagesComeBack(sender, qualities: qualities, sizes: sizes)
        }
        let isSlow = kind == .mosquitto && wire.isWebSocket
        let info = try await isSlow ? withTicks(client(.tls), echo) : echo()
        #expect((info.endpoint.webSocket != nil) == wire.isWebSocket)
    }

    /// Sends the broker a bad token and then good ones. Returns the refusal of the bad one.
    func refusal(of bad: MQTTCredentials, _ wire: Wire, version: MQTTVersion) async throws -> MQTTError {
        let client = MQTTClient(
            configuration(wire, version: version) { [tokens] given in
                given == 0 ? bad : try tokens.credentials(lifetime: .seconds(60))
            }, logger: quiet)
        let events = client.events()
        try await client.start()
        var refusals: [MQTTError] = []
        for await event in events {
            if case .attemptFailed(let failed) = event.kind { refusals.append(failed.error) }
            if case .connected = event.kind { break }
        }
        // The client has recovered: the connection can be used.
        try await client.publish("hello", to: "greeting")
        try? await client.shutdown()
        #expect(refusals.count == 1, "\(refusals)")
        return try #require(refusals.first)
    }

    /// Lets two clients, one over TLS and one over WebSockets, send to each other while each rotates three times, and
    /// until its first token has expired.
    func rotate(version: MQTTVersion, qualities: [MQTTQoS]) async throws {
        let life = ShortLife.length
        func client(_ name: String, _ wire: Wire) -> MQTTClientConfiguration {
            var configuration = configuration(wire, version: version) { [tokens] _ in
                try tokens.credentials(lifetime: life)
            }
            configuration.clientID = "rotation-\(name)-\(version)"
            ShortLife.rotate(&configuration)
            return configuration
        }
        let traffic = try await BrokerTraffic.run(
            (client("left", .tls), client("right", .wss)), qualities: qualities
        ) { $0.gaps.count >= 3 && $0.age > life + .seconds(2) }
        print(traffic.summary("\(kind.rawValue) \(version), rotation"))
        traffic.expectNothingLost()
        #expect(traffic.gaps.count >= 6)
        #expect(traffic.disconnections.isEmpty, "a token expired under its connection")
    }

    /// Lets two clients, one over TLS and one over WebSockets, send to each other while their tokens, valid for eight
    /// seconds, expire without a rotation. Returns the ends of the connections.
    ///
    /// - Parameter ends: true if the broker ends a connection whose token has expired.
    func expire(version: MQTTVersion, qualities: [MQTTQoS], ends: Bool = true) async throws -> [MQTTError] {
        func client(_ name: String, _ wire: Wire) -> MQTTClientConfiguration {
            var configuration = configuration(wire, version: version) { [tokens] given in
                try tokens.credentials(lifetime: .seconds(given == 0 ? 8 : 60))
            }
            configuration.clientID = "expiry-\(name)-\(version)"
            configuration.rotation.refreshAt = nil
            return configuration
        }
        let traffic = try await BrokerTraffic.run(
            (client("left", .tls), client("right", .wss)), qualities: qualities
        ) { $0.age > .seconds(12) && (!ends || !$0.disconnections.isEmpty) }
        print(traffic.summary("\(kind.rawValue) \(version), expiry"))
        traffic.expectNothingLost()
        #expect(traffic.gaps.isEmpty)
        return traffic.disconnections
    }
}
