// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import MosquittoTokens
import Testing
import Turns

@Suite("A program's first token that is refused (core build 6)", .turn(.tokens), .timeLimit(.minutes(1)))
struct FirstRefusalTests {
    /// Connects as `mosq sub --token-command` does.
    @Test(arguments: [MQTTVersion.v5_0, .v3_1_1])
    func `is replaced at once`(version: MQTTVersion) async throws {
        let folder = try TemporaryDirectory()
        let broker = try await ScriptedBroker.start(
            script: [.refuse(code: version == .v5_0 ? 0x87 : 5, close: true), .serve])
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
        configuration.version = version
        #expect(configuration.retry.minimumAuthenticationDelay == .seconds(5))
        configuration.retry.minimumAuthenticationDelay = .seconds(60)
        configuration.credentials = .command(
            "/bin/sh", ["-c", "echo x >> '\(folder.path)/calls'; wc -l < '\(folder.path)/calls' | tr -d ' '"])
        let client = MQTTClient(configuration)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        try #require(broker.connects.map(\.password) == ["1", "2"])
        // The delay would be a minute; all that it takes is the program.
        #expect(broker.connects[1].at - broker.connects[0].at < .seconds(20))
        try? await client.shutdown()
        await broker.stop()
    }
}
