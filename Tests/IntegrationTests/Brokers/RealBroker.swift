// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Promises
import Testing

/// A broker that checks tokens, which ends with the last reference.
final class RealBroker: Sendable {
    /// Its folder in `Tests/Brokers`.
    enum Kind: String, Sendable {
        case mosquitto = "mosquitto-jwt"
        case rabbitMQ = "rabbitmq"
        case ejabberd
        case nats
    }

    let kind: Kind
    /// Signs the tokens that the broker accepts.
    let tokens: any BrokerTokens

    private let server: RealServer

    /// Starts a broker.
    ///
    /// - Parameter tokens: The issuer of its tokens; by default a new one.
    static func start(_ kind: Kind, tokens: (any BrokerTokens)? = nil) async throws -> RealBroker {
        let tokens = try tokens ?? makeTokens(for: kind)
        let server = try await RealServer.start(kind.rawValue, files: tokens.brokerFiles)
        return RealBroker(kind, tokens, server)
    }

    private init(_ kind: Kind, _ tokens: any BrokerTokens, _ server: RealServer) {
        self.kind = kind
        self.tokens = tokens
        self.server = server
    }

    func stop() { server.stop() }

    /// The port of a wire; `nil` if the broker has none.
    func port(_ wire: Wire) -> Int? { server.ports[wire == .tls ? "port" : wire.rawValue] }
    var authority: TestCertificateAuthority { server.authority }

    /// A client with a persistent session, with tokens from a closure that receives the number of earlier tokens.
    func configuration(
        _ wire: Wire = .tls, version: MQTTVersion, credentials: @escaping @Sendable (Int) throws -> MQTTCredentials
    ) -> MQTTClientConfiguration {
        var configuration = wire.configuration(port: port(wire) ?? 0, authority: authority)
        configuration.version = version
        configuration.session = .persistent
        configuration.retry.minimumAuthenticationDelay = .milliseconds(200)
        let given = Counter()
        configuration.credentials = .closure { _ in try credentials(given.next()) }
        return configuration
    }

    private static func makeTokens(for kind: Kind) throws -> any BrokerTokens {
        switch kind {
        case .mosquitto: try JWTSigner()
        case .rabbitMQ: try JWTSigner(scope: JWTSigner.rabbitMQScope)
        case .ejabberd: try JWTSigner(subject: "dev1@localhost")
        case .nats: NATSTokens()
        }
    }
}

/// Starts a broker for the tests of a suite, which share it as ``RealBroker/current()``, since it may take seconds.
struct RealBrokerTrait: SuiteTrait, TestScoping {
    var kind: RealBroker.Kind

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let broker = try await RealBroker.start(kind)
        defer { broker.stop() }
        if kind == .nats { try await broker.warmUp() }
        try await RealBroker.$started.withValue(broker, operation: function)
    }
}

extension Trait where Self == RealBrokerTrait {
    static func realBroker(_ kind: RealBroker.Kind) -> Self { Self(kind: kind) }
}

extension RealBroker {
    @TaskLocal fileprivate static var started: RealBroker?

    /// nats-server 2.9.10: if several clients are the first with a persistent session, the server may fail to store one
    /// session ("wrong last sequence", 1 of 5 times here), and refuses the subscription or closes the connection. So
    /// one client connects first.
    fileprivate func warmUp() async throws {
        let configuration = configuration(version: .v3_1_1) { [tokens] _ in
            try tokens.credentials(lifetime: .seconds(60))
        }
        try await withMQTTClient(configuration, logger: quiet) { client in
            try await client.subscribe(to: "first") { _ in }
        }
    }

    /// The broker of the suite's trait.
    static func current() throws -> RealBroker { try #require(started) }
}
