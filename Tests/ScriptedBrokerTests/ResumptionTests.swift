// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("TLS sessions are resumed", .turn(.scripted), .timeLimit(.minutes(2)))
struct ResumptionTests {
    /// Connects, has the connection closed by the broker, and connects again; whether each connection was resumed.
    private func resumed(
        _ change: (inout MQTTClientConfiguration) -> Void = { _ in }, between: () throws -> Void = {}
    ) async throws -> [Bool] {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.credentials = .closure { _ in MQTTCredentials(username: "\(UInt64.random(in: 0 ... .max))") }
        change(&configuration)
        return try await withRunningClient(configuration) { client, log in
            for _ in 0..<3 {
                try await client.waitUntilConnected(timeout: .seconds(30))
                // A ticket comes after the handshake, at the latest with the answer to this.
                try await client.publish("x", to: "a")
                try between()
                try await client.rotateCredentials()
            }
            // The log is a step behind the client.
            #expect(await log.wait { $0.connections.count == 4 })
            let infos = await log.connections
            await broker.stop()
            return infos.compactMap { $0.tls?.resumed }
        }
    }

    @Test(arguments: [MQTTSession.clean, .persistent])
    func `the first connection is new, the next ones are resumed`(session: MQTTSession) async throws {
        #expect(try await resumed { $0.session = session } == [false, true, true, true])
    }

    @Test func `not if they are not to be`() async throws {
        #expect(try await resumed { $0.tls?.resumesSessions = false } == [false, false, false, false])
    }

    @Test func `not when the trusted certificates have changed`() async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write(TestTLS.authority.certificatePEM, to: "ca.pem")
        var size = 0
        let all = try await resumed {
            $0.tls = MQTTTLSConfiguration(trust: .file(path))
        } between: {
            size += 1
            try folder.write(TestTLS.authority.certificatePEM + String(repeating: "\n", count: size), to: "ca.pem")
        }
        #expect(all == [false, false, false, false])
    }
}
