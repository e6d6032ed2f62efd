// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

@Suite("No token is ever told", .turn(.scripted), .timeLimit(.minutes(2)))
struct SecrecyTests {
    /// An error whose text contains a secret.
    private struct Leaky: Error, CustomStringConvertible {
        let description: String
    }

    /// Checks all output of a client that uses many tokens: the log at its lowest level, the text and the `dump` of all
    /// events and errors, and the client itself.
    @Test func `not in a log, an event, an error, a description or a dump`() async throws {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, authentication: .token(issuer, kickOnExpiry: true))
        let given = Mutex<[String]>([])
        let lines = CollectingLogHandler.Lines()
        let logger = Logger(label: "test") { _ in
            var handler = CollectingLogHandler(lines: lines)
            handler.logLevel = .trace
            return handler
        }

        var configuration = testConfiguration(port: broker.port)
        configuration.credentials = .closure { attempt in
            // Refused, failing with a loose tongue, good, and new ones for each rotation.
            let number = given.withLock { $0.count }
            let token = issuer.token(lifetime: .seconds(number == 0 ? -60 : 3_600))
            given.withLock { $0.append(token) }
            if number == 1 { throw Leaky(description: "the token is \(token)") }
            if number == 4 { throw MQTTError(.credentials, "no token") }
            return MQTTCredentials(username: "u", password: MQTTSecret(token))
        }
        var output = ""
        dump(configuration, to: &output)
        let client = MQTTClient(configuration, logger: logger)
        let log = EventLog(client)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
        try await client.rotateCredentials()
        await #expect(throws: MQTTError.self) { try await client.rotateCredentials() }
        try await client.rotateCredentials()
        try await client.publish("x", to: "a", qos: .exactlyOnce)
        broker.dropAll()
        #expect(await log.wait { $0.connections.count >= 4 })
        dump(client.state, to: &output)
        try? await client.shutdown()

        for event in await log.events {
            output += String(describing: event) + String(reflecting: event)
            dump(event, to: &output)
        }
        for line in lines.all { output += "\(line.level) \(line.message) \(line.metadata)\n" }
        output += String(describing: client) + String(reflecting: client)
        let tokens = given.withLock { $0 }
        #expect(tokens.count >= 6)
        #expect(output.contains("connected"))
        for token in tokens {
            // Any part of a token will do to find it.
            for part in token.split(separator: ".") { #expect(!output.contains(part)) }
        }
        await broker.stop()
    }
}
