// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// A server with TLS in front of a broker with WebSockets, which ends with the last reference.
final class TLSFront: Sendable {
    enum Kind: CaseIterable, Sendable {
        /// nginx with `proxy_pass`.
        case nginx
        /// HAProxy in `mode http`.
        case haproxy
        /// HAProxy in `mode tcp`: it decrypts, and reads no HTTP.
        case haproxyTCP

        /// The answer to an upgrade while the broker is away; `nil` without HTTP.
        var statusWithoutBroker: Int? {
            switch self {
            case .nginx: 502
            case .haproxy: 503
            case .haproxyTCP: nil
            }
        }
    }

    private let kind: Kind
    private let server: RealServer

    /// Starts a front.
    ///
    /// - Parameter port: The broker's port for WebSockets without TLS.
    static func start(_ kind: Kind, before port: Int) async throws -> TLSFront {
        let name = kind == .nginx ? "nginx" : "haproxy"
        return TLSFront(kind, try await RealServer.start(name, files: ["broker": "\(port)\n"]))
    }

    private init(_ kind: Kind, _ server: RealServer) {
        self.kind = kind
        self.server = server
    }

    /// Returns the configuration of a client of the broker, with the address of this front.
    func leading(_ configuration: MQTTClientConfiguration) -> MQTTClientConfiguration {
        var configuration = configuration
        let port = server.ports[kind == .haproxyTCP ? "wss" : "port"] ?? 0
        configuration.endpoints = [Wire.wss.endpoint(port: port)]
        configuration.tls = MQTTTLSConfiguration(trust: .pem(server.authority.certificatePEM))
        return configuration
    }

    func restart() async throws { try await server.restart() }
}
