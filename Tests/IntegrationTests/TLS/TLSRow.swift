// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// One row of the matrix: a client, `openssl s_server` and the expected outcome.
struct TLSRow: Sendable, CustomTestStringConvertible {
    typealias Client = @Sendable (inout MQTTTLSConfiguration, Certificates) throws -> Void

    var name: String
    /// The arguments of `openssl s_server`.
    var server: String
    var host: String
    var expected: TLSExpectation
    /// The text that the server must print.
    var serverSays: String?
    /// Changes a configuration that trusts the root and accepts a single version.
    var client: Client

    var testDescription: String { name }

    init(
        _ name: String, server: String, host: String = "localhost", _ expected: TLSExpectation,
        serverSays: String? = nil,
        client: @escaping Client = { _, _ in }
    ) {
        self.name = name
        self.server = server
        self.host = host
        self.expected = expected
        self.serverSays = serverSays
        self.client = client
    }

    func configuration(_ version: TLSVersion, port: Int, _ certificates: Certificates) throws -> MQTTClientConfiguration
    {
        var tls = MQTTTLSConfiguration(trust: .pem(try certificates.text("root.pem")))
        tls.minimumVersion = version
        tls.maximumVersion = version
        try client(&tls, certificates)
        return MQTTClientConfiguration(host: host, port: port, tls: tls)
    }

    /// Makes the connection and compares the outcome.
    func check(_ version: TLSVersion) async throws {
        let certificates = try Certificates.current
        let server = try await OpenSSLServer.start(self.server, certificates)
        defer { server.stop() }
        let outcome = await TLSOutcome.of(try configuration(version, port: server.port, certificates), certificates)
        #expect(outcome == expected[version], "\(outcome); the server said: \(server.output)")
        if case .failed(let failure) = outcome, failure.kind == .verification {
            // An alert is useful only if it arrives.
            #expect(await eventually { server.output.contains("SSL alert number") }, "\(server.output)")
        }
        if case .failed(let failure) = outcome, failure.phase != .connack {
            #expect(!server.output.contains("MQTT"), "a byte of CONNECT has left: \(server.output)")
        }
        if let serverSays {
            // "CN = name" up to OpenSSL 3.1, "CN=name" since.
            let text = serverSays.replacing(" = ", with: "=")
            #expect(
                await eventually { server.output.replacing(" = ", with: "=").contains(text) }, "\(server.output)")
        }
    }
}

/// The arguments of `openssl s_server` for a certificate.
func showing(_ name: String, _ more: String = "") -> String { "-cert \(name).pem -key \(name).key \(more)" }
