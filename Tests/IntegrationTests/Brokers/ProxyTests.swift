// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// tinyproxy 1.11 and squid 5.7, with TLS too, and a mosquitto behind them.
@Suite("Through a real HTTP proxy", .turn(.brokers), .timeLimit(.minutes(3)))
struct ProxyTests {
    enum Kind: String, CaseIterable, Sendable {
        case tinyproxy, squid
        /// squid as an `https` proxy.
        case secureSquid

        private var isSquid: Bool { self != .tinyproxy }

        /// The settings of a proxy that connects anybody to anything.
        var open: String { isSquid ? "http_access allow all\n" : "" }

        /// The settings of a proxy that demands the user "me" with the password "pw".
        var closed: String {
            isSquid ? "http_access allow known\nhttp_access deny all\n" : "BasicAuth me pw\n"
        }

        /// The settings of a proxy that allows CONNECT to port 443 only, as both do when they are new.
        var web: String {
            isSquid
                ? "acl web port 443\nhttp_access deny !web\nhttp_access allow all\n" : "ConnectPort 443\n"
        }

        func start(_ settings: String) async throws -> RealServer {
            var files = ["settings": settings]
            if self == .secureSquid { files["https"] = "" }
            return try await RealServer.start(isSquid ? "squid" : "tinyproxy", files: files)
        }

        func proxy(_ server: RealServer, username: String?, password: MQTTSecret?) -> MQTTProxy {
            guard self == .secureSquid else {
                return .http(host: "127.0.0.1", port: server.port, username: username, password: password)
            }
            let tls = MQTTTLSConfiguration(trust: .pem(server.authority.certificatePEM))
            return .https(host: "localhost", port: server.port, tls: tls, username: username, password: password)
        }

        /// The answer for a broker that is not there.
        var unreachable: Int { isSquid ? 503 : 500 }
        /// The answer to a wrong password. That of tinyproxy is not what RFC 9110, section 15.5.8, asks of a proxy.
        var unauthorized: Int { isSquid ? 407 : 401 }
    }

    private func configuration(
        _ kind: Kind, _ broker: LocalMosquitto, _ authority: TestCertificateAuthority?, _ proxy: RealServer,
        username: String? = nil, password: MQTTSecret? = nil
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: broker.port, tls: authority.map { .init(trust: .pem($0.certificatePEM)) })
        configuration.retry.baseDelay = .milliseconds(50)
        configuration.retry.maximumDelay = .milliseconds(500)
        configuration.connection.proxy = kind.proxy(proxy, username: username, password: password)
        return configuration
    }

    @Test(arguments: Kind.allCases, [true, false])
    func `messages of every QoS and size pass, with TLS and without`(kind: Kind, isTLS: Bool) async throws {
        let authority = isTLS ? try TestCertificateAuthority() : nil
        let broker = try await LocalMosquitto.start(tls: try authority?.serverIdentity())
        let proxy = try await kind.start(kind.open)
        try await expectMessagesComeBack(configuration(kind, broker, authority, proxy))
    }

    @Test(arguments: Kind.allCases)
    func `a killed broker is connected to again through the proxy`(kind: Kind) async throws {
        let authority = try TestCertificateAuthority()
        let broker = try await LocalMosquitto.start(tls: try authority.serverIdentity())
        let proxy = try await kind.start(kind.open)
        let client = MQTTClient(configuration(kind, broker, authority, proxy), logger: quiet)
        let failures = Failures(client)
        let runner = Task { try await client.run() }
        _ = try await client.waitUntilConnected(timeout: .seconds(30))
        broker.kill()
        #expect(await eventually { failures.statuses.contains(kind.unreachable) })
        #expect(failures.decisions.allSatisfy { $0 == .retry(.standard) })
        try await broker.restart()
        _ = try await client.waitUntilConnected(timeout: .seconds(30))
        try await client.shutdown()
        try await runner.value
    }

    @Test(arguments: Kind.allCases)
    func `a name and a password are demanded, and accepted`(kind: Kind) async throws {
        let broker = try await LocalMosquitto.start()
        let proxy = try await kind.start(kind.closed)
        let known = configuration(kind, broker, nil, proxy, username: "me", password: "pw")
        try await withMQTTClient(known, logger: quiet) { client in
            try await client.publish("x", to: "a", qos: .atLeastOnce)
        }
        let anonymous = configuration(kind, broker, nil, proxy)
        let missing = await #expect(throws: MQTTError.self) { try await MQTTClient(anonymous, logger: quiet).run() }
        #expect(missing?.code == .proxy && missing?.httpStatus == 407, "\(missing.map { "\($0)" } ?? "")")
        #expect(missing?.message.contains("it offers Basic") == true)
        let unknown = configuration(kind, broker, nil, proxy, username: "me", password: "hidden")
        let wrong = await #expect(throws: MQTTError.self) { try await MQTTClient(unknown, logger: quiet).run() }
        // RFC 9110, section 15.5.8, asks for 407 of a proxy; tinyproxy 1.11.1 answers 401.
        let statuses = [kind.unauthorized, 407]
        #expect(wrong?.code == .proxy && statuses.contains(wrong?.httpStatus ?? 0), "\(wrong.map { "\($0)" } ?? "")")
        #expect(wrong?.message.contains("hidden") == false)
    }

    @Test(arguments: Kind.allCases)
    func `rules that allow port 443 only are named`(kind: Kind) async throws {
        let broker = try await LocalMosquitto.start()
        let proxy = try await kind.start(kind.web)
        var configuration = configuration(kind, broker, nil, proxy)
        configuration.retry = .none
        let error = await #expect(throws: MQTTError.self) { try await MQTTClient(configuration, logger: quiet).run() }
        #expect(error?.code == .proxy && error?.httpStatus == 403, "\(error.map { "\($0)" } ?? "")")
        #expect(error?.message.contains("must allow CONNECT to port \(broker.port)") == true)
    }
}
