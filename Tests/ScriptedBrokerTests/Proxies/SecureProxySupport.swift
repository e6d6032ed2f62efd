// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// An authority of proxies, which no client trusts for brokers, and an identity for localhost.
enum ProxyTLS {
    static let authority: TestCertificateAuthority = make { try TestCertificateAuthority(commonName: "of proxies") }
    static let identity: TestIdentity = make { try authority.serverIdentity() }
    static let trust = MQTTTLSConfiguration(trust: .pem(authority.certificatePEM))

    private static func make<T>(_ body: () throws -> T) -> T {
        do { return try body() } catch { fatalError("the test certificates cannot be made: \(error)") }
    }
}

/// A broker behind a proxy with TLS.
struct SecureProxy {
    let broker: ScriptedBroker
    let proxy: ScriptedHTTPProxy
    let wire: Wire

    static func run(
        _ wire: Wire = .tls13, identity: TestIdentity = ProxyTLS.identity, authorization: String? = nil,
        pause: Duration? = nil, broker brokerScript: [ConnectionScript] = [.serve],
        script: [ScriptedHTTPProxy.Script] = [.connect], _ body: (SecureProxy) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(
            tls: wire.identity, webSocket: wire.webSocket, script: brokerScript)
        let proxy = try await ScriptedHTTPProxy.start(
            tls: identity, authorization: authorization, pause: pause, script: script)
        try await body(SecureProxy(broker: broker, proxy: proxy, wire: wire))
        await proxy.stop()
        await broker.stop()
    }

    /// Returns the configuration of a client, which connects to the proxy or to a port in front of it.
    func configuration(port: Int? = nil) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port)
        configuration.endpoints = [wire.endpoint(configuration.endpoints[0])]
        if wire.isTLS {
            configuration.tls?.maximumVersion = wire == .tls12 ? .v1_2 : .v1_3
        } else {
            configuration.tls = nil
        }
        configuration.connection.proxy = .https(host: "localhost", port: port ?? proxy.port, tls: ProxyTLS.trust)
        return configuration
    }
}
