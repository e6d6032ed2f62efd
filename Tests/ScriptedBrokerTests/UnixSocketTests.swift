// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A broker can be behind a Unix socket", .turn(.scripted))
struct UnixSocketTests {
    private func configuration(_ path: String, tls: MQTTTLSConfiguration? = nil) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: 1, tls: tls)
        configuration.endpoints = [.unixSocket(path)]
        return configuration
    }

    private func exchange(_ client: MQTTClient) async throws {
        let message = try await client.subscribe(to: "a") { messages in
            try await client.publish("both ways", to: "a", qos: .exactlyOnce)
            return await messages.first { _ in true }
        }
        #expect(message?.payloadString == "both ways")
    }

    @Test func `messages go both ways`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        let broker = try await ScriptedBroker.start(unixSocket: path)
        try await withRunningClient(configuration(path)) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint == .unixSocket(path))
            #expect(info.tls == nil)
            try await exchange(client)
            broker.dropAll()
            #expect(await log.wait { $0.connections.count == 2 })
            try await exchange(client)
            #expect(await log.wait { $0.disconnections.map(\.error.endpoint) == ["unix:\(path)"] })
        }
        await broker.stop()
    }

    @Test func `TLS checks the certificate for the name that was given`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        let broker = try await ScriptedBroker.start(
            unixSocket: path, tls: try TestTLS.authority.serverIdentity(names: ["broker.internal"], addresses: []))
        let trust = MQTTTLSConfiguration.Trust.pem(TestTLS.authority.certificatePEM)
        try await withRunningClient(configuration(path, tls: .init(trust: trust, serverName: "broker.internal"))) {
            client, _ in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.tls?.version == "TLSv1.3")
            try await exchange(client)
        }
        let connects = broker.connects.count
        try await withRunningClient(configuration(path, tls: .init(trust: trust, serverName: "other.internal"))) {
            _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            #expect(await log.wait { $0.failures.first?.error.code == .tlsVerification })
        }
        #expect(broker.connects.count == connects)
        await broker.stop()
    }

    @Test func `TLS without a name to check is refused before any I/O`() async throws {
        let folder = try TemporaryDirectory()
        let client = MQTTClient(configuration(folder.path + "/broker.sock", tls: .init()), logger: quiet)
        let error = await #expect(throws: MQTTError.self) { try await client.start() }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test func `a socket that is not there yet is tried until it is`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        try await withRunningClient(configuration(path)) { client, log in
            #expect(await log.wait { $0.failures.count >= 2 })
            for failure in await log.failures {
                #expect(failure.error.code == .connectionRefused, "\(failure.error)")
                #expect(failure.error.phase == .connect)
                #expect(failure.decision == .retry(.standard))
                #expect(failure.error.endpoint == "unix:\(path)")
            }
            let broker = try await ScriptedBroker.start(unixSocket: path)
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await exchange(client)
            #expect(await log.violation == nil)
            await broker.stop()
        }
    }

    @Test func `a socket and a port can be endpoints of the same client`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(path)
        configuration.endpoints.append(MQTTEndpoint(host: "localhost", port: broker.port))
        try await withRunningClient(configuration) { client, _ in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.port == broker.port)
        }
        await broker.stop()
    }
}
