// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    @Suite("A handshake in the middle of a connection", .timeLimit(.minutes(1)))
    struct KeyUpdateTests {
        /// "k" updates the server's key, "K" asks the client to update its own, too (RFC 8446, section 4.6.3).
        @Test(arguments: ["k", "K"])
        func `new keys are taken, and messages go on both ways`(command: String) async throws {
            try await connect(.v1_3, "-msg") { server, client in
                for round in 1...3 {
                    let asked = server.lines(">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
                    server.command(command)
                    #expect(
                        await eventually {
                            server.lines(">>> TLS 1.3, Handshake [length 0005], KeyUpdate") == asked + 1
                        })
                    try await exchange(UInt8(round), server, client)
                    // The client's answer comes before its next record.
                    let answers = server.lines("<<< TLS 1.3, Handshake [length 0005], KeyUpdate")
                    #expect(answers == (command == "K" ? round : 0))
                }
            }
        }

        /// RFC 5246, section 7.4.1.1: a HelloRequest may be answered with a no_renegotiation alert. `openssl s_server` ends
        /// the connection then.
        @Test(arguments: ["r", "R"])
        func `a renegotiation is refused`(command: String) async throws {
            try await connect(.v1_2) { server, client in
                let events = client.events()
                server.command(command)
                let lost = await events.first { if case .disconnected = $0.kind { true } else { false } }
                guard case .disconnected(let disconnection)? = lost?.kind else {
                    Issue.record("no disconnection")
                    return
                }
                #expect(
                    TLSOutcome.Failure(disconnection.error)
                        == TLSOutcome.Failure(
                            code: .tlsAlert, phase: .connected, kind: .alert, alert: "received handshake_failure"))
                #expect(await eventually { server.output.contains("no renegotiation") })
                // The next connection is a new one.
                try await client.waitUntilConnected(timeout: .seconds(30))
            }
        }

        /// A client that is connected to a server.
        private func connect(
            _ version: TLSVersion, _ arguments: String = "",
            _ body: @escaping @Sendable (OpenSSLServer, MQTTClient) async throws -> Void
        ) async throws {
            let certificates = try Certificates.current
            let row = TLSRow("", server: showing("server-ecdsa", arguments), .connects())
            let server = try await OpenSSLServer.start(row.server, certificates)
            defer { server.stop() }
            var configuration = try row.configuration(version, port: server.port, certificates)
            configuration.retry.baseDelay = .milliseconds(10)
            configuration.retry.minimumDelay = .milliseconds(1)
            configuration.retry.maximumDelay = .milliseconds(100)
            try await withMQTTClient(configuration, logger: quiet) { client in
                try await client.waitUntilConnected(timeout: .seconds(30))
                try await exchange(0, server, client)
                try await body(server, client)
            }
        }

        /// Sends one message each way. The client acknowledges the server's message, although it has no subscription.
        private func exchange(_ number: UInt8, _ server: OpenSSLServer, _ client: MQTTClient) async throws {
            try await client.publish("message \(number) of the client", to: "a", qos: .atMostOnce)
            #expect(await eventually { server.output.contains("message \(number) of the client") })
            // MQTT 5.0, 3.3 and 3.4: the identifier is two letters, no properties; a PUBACK has the same identifier.
            let identifier = Array("A".utf8) + [0x61 + number]
            server.send([0x32, 6, 0, 1] + Array("a".utf8) + identifier + [0])
            let acknowledgement = String(decoding: [0x40, 2] + identifier, as: UTF8.self)
            #expect(await eventually { server.output.contains(acknowledgement) })
        }
    }
}
