// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    @Suite("A port for TLS and a port for plain TCP")
    struct WrongPortTests {
        @Test(arguments: [TLSVersion.v1_2, .v1_3], [MQTTVersion.v3_1_1, .v5_0])
        func `TLS at mosquitto's port for plain TCP`(tls: TLSVersion, version: MQTTVersion) async throws {
            let mosquitto = try await LocalMosquitto.start()
            var configuration = MQTTClientConfiguration(host: "localhost", port: mosquitto.port)
            configuration.tls?.maximumVersion = tls
            configuration.version = version
            // mosquitto closes the connection: a ClientHello is not a CONNECT.
            let outcome = await TLSOutcome.of(configuration, try Certificates.current)
            #expect(outcome == TLSExpectation.fails(.closed, in: .tlsHandshake, .notTLS)[tls], "\(outcome)")
        }

        @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
        func `plain TCP at mosquitto's port for TLS`(version: MQTTVersion) async throws {
            let mosquitto = try await Broker.start()
            var configuration = MQTTClientConfiguration(host: "localhost", port: mosquitto.mosquitto.port, tls: nil)
            configuration.version = version
            let outcome = await TLSOutcome.of(configuration, try Certificates.current)
            #expect(outcome == Self.ended("the connection was reset"), "\(outcome)")
        }

        @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
        func `plain TCP at OpenSSL's port for TLS`(version: MQTTVersion) async throws {
            let certificates = try Certificates.current
            let server = try await OpenSSLServer.start(showing("server-ecdsa"), certificates)
            defer { server.stop() }
            var configuration = MQTTClientConfiguration(host: "localhost", port: server.port, tls: nil)
            configuration.version = version
            let outcome = await TLSOutcome.of(configuration, certificates)
            #expect(outcome == Self.ended("the broker closed the connection"), "\(outcome)")
        }

        /// A TLS server closes a connection that does not look like TLS, without an alert.
        private static func ended(_ how: String) -> TLSOutcome {
            let message = "\(how) without an answer to CONNECT; it may want TLS at this port"
            return TLSExpectation.fails(.closed, in: .connack, detail: message)[.v1_3]
        }
    }
}
