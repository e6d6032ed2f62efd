// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct LocalMosquittoTests {
    @Test func `It starts, is killed and comes back on its port`() async throws {
        let broker = try await LocalMosquitto.start()
        let port = "\(broker.port)"
        #expect(try await publish("-p", port, "-q", "1", "-t", "t", "-m", "x").status == 0)
        broker.kill()
        #expect(!broker.isRunning)
        #expect(try await publish("-p", port, "-q", "1", "-t", "t", "-m", "x").status != 0)
        try await broker.restart()
        #expect(try await publish("-p", port, "-q", "1", "-t", "t", "-m", "x").status == 0)
        #expect(broker.log.contains("running"))
    }

    @Test func `With persistence a retained message survives a restart`() async throws {
        let broker = try await LocalMosquitto.start(persistence: true)
        let port = "\(broker.port)"
        #expect(try await publish("-p", port, "-q", "1", "-r", "-t", "t", "-m", "kept").status == 0)
        await broker.terminate()
        #expect(!broker.isRunning)
        try await broker.restart()
        #expect(try await subscribe("-p", port, "-t", "t", "-C", "1").result().lines == ["kept"])
    }

    @Test func `TLS, client certificates and passwords are enforced`() async throws {
        let authority = try TestCertificateAuthority()
        let client = try authority.clientIdentity(commonName: "dev1")
        let directory = try TemporaryDirectory()
        let broker = try await LocalMosquitto.start(
            tls: authority.serverIdentity(),
            authority: authority.certificatePEM,
            requireClientCertificate: true,
            anonymous: false,
            users: ["dev1": "secret"]
        )
        let tls = [
            "-h", "localhost", "-p", "\(broker.port)", "-q", "1", "-t", "t", "-m", "x", "-u", "dev1",
            "--cafile", try directory.write(authority.certificatePEM, to: "ca.pem"),
        ]
        let certificate = [
            "--cert", try directory.write(client.certificatePEM, to: "client.pem"),
            "--key", try directory.write(client.privateKeyPEM, to: "client.key"),
        ]
        func status(_ arguments: [String]) async throws -> Int32 {
            try await RunningCommand("/usr/bin/mosquitto_pub", arguments).result().status
        }
        #expect(try await status(tls + certificate + ["-P", "secret"]) == 0)
        #expect(try await status(tls + certificate + ["-P", "wrong"]) != 0)
        #expect(try await status(tls + ["-P", "secret"]) != 0)
    }

    @Test func `A configuration that is wrong is an error with the log`() async throws {
        let error = await #expect(throws: MosquittoTestingError.self) {
            _ = try await LocalMosquitto.start(extraConfiguration: "no_such_option true")
        }
        guard case .mosquittoDidNotStart(let log) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(log.contains("no_such_option"))
    }
}
