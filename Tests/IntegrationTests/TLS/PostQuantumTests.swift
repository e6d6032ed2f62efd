// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    /// With OpenSSL 3.5 or newer on both sides the key exchange is post-quantum. With an older one the demand is an error
    /// of the configuration, which names the library: no test is left out.
    @Suite("A post-quantum key exchange")
    struct PostQuantumTests {
        /// Returns the negotiated parameters, or throws the client's error.
        private func tls(
            _ port: Int, _ change: (inout MQTTTLSConfiguration) -> Void = { _ in }
        ) async throws -> MQTTConnectionInfo.TLS {
            var tls = MQTTTLSConfiguration(trust: .pem(try Certificates.current.text("root.pem")))
            change(&tls)
            var configuration = MQTTClientConfiguration(host: "localhost", port: port, tls: tls)
            configuration.connection.firstConnection = .failFast
            configuration.timeouts.attempt = .seconds(20)
            let info = try await withMQTTClient(configuration, logger: quiet) { client in
                try await client.waitUntilConnected()
            }
            return try #require(info.tls)
        }

        /// Throws the error of a client that requires a post-quantum key exchange.
        private func demand(_ port: Int) async throws -> MQTTConnectionInfo.TLS {
            try await tls(port) { $0.requiresPostQuantum = true }
        }

        private func check(_ error: MQTTError?, isMissingHere text: String, _ server: OpenSSLServer) -> Bool {
            guard error?.code == .tlsConfiguration else { return false }
            #expect(error?.message.contains(text) == true, "\(error.map { "\($0)" } ?? "no error")")
            #expect(!server.output.contains("MQTT"))
            return true
        }

        @Test func `is demanded of openssl`() async throws {
            let server = try await OpenSSLServer.start(showing("server-ecdsa"), try Certificates.current)
            defer { server.stop() }
            do {
                let tls = try await demand(server.port)
                #expect(tls.isPostQuantum)
                #expect(tls.version == "TLSv1.3")
            } catch let error as MQTTError {
                #expect(check(error, isMissingHere: "has no post-quantum group", server), "\(error)")
            }
        }

        @Test(arguments: ["-groups P-256", "-tls1_2"])
        func `is demanded of a server that has none, to which no byte of CONNECT is sent`(arguments: String)
            async throws
        {
            let server = try await OpenSSLServer.start(
                showing("server-ecdsa", arguments), try Certificates.current)
            defer { server.stop() }
            let error = await #expect(throws: MQTTError.self) { try await demand(server.port) }
            if check(error, isMissingHere: "has no post-quantum group", server) { return }
            #expect(error?.code == .tlsProtocol)
            #expect(error?.phase == .tlsHandshake)
            #expect(error?.tls?.kind == .notPostQuantum)
            #expect(error?.tls?.alert?.received == true)
            #expect(!server.output.contains("MQTT"), "a byte of CONNECT has left: \(server.output)")
            // Without the demand the same server is good enough.
            #expect(try await !tls(server.port).isPostQuantum)
        }

        @Test func `is agreed on with mosquitto, if both sides have it`() async throws {
            let mosquitto = try await LocalMosquitto.start(
                extraConfiguration: MosquittoRow.ecdsa.replacing("$", with: try Certificates.current.directory.path))
            let group = try #require(try await tls(mosquitto.port).group)
            #expect(["x25519", "X25519MLKEM768"].contains(group))
            do {
                #expect(try await demand(mosquitto.port).group == "X25519MLKEM768")
            } catch let error as MQTTError {
                // One side is older than OpenSSL 3.5.
                #expect(error.code == .tlsConfiguration || error.tls?.kind == .notPostQuantum, "\(error)")
                #expect(group == "x25519")
            }
        }
    }
}
