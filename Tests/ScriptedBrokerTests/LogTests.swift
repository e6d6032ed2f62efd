// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Records log lines.
struct CollectingLogHandler: LogHandler {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let metadata: Logger.Metadata
    }

    final class Lines: Sendable {
        private let lines = Mutex<[Line]>([])
        func append(_ line: Line) { lines.withLock { $0.append(line) } }
        var all: [Line] { lines.withLock { $0 } }
        func at(_ level: Logger.Level) -> [Line] { all.filter { $0.level == level } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let own = event.metadata ?? [:]
        lines.append(
            Line(level: event.level, message: "\(event.message)", metadata: metadata.merging(own) { $1 }))
    }
}

@Suite("The log tells each failure in fields, and not for ever", .turn(.scripted))
struct LogTests {
    private let lines = CollectingLogHandler.Lines()

    private var logger: Logger {
        Logger(label: "test") { [lines] _ in CollectingLogHandler(lines: lines) }
    }

    private func run<R>(
        _ configuration: MQTTClientConfiguration, _ body: (MQTTClient, EventLog) async throws -> R
    ) async throws -> R {
        try await withRunning(
            MQTTClient(configuration, logger: logger), body)
    }

    @Test func `identical failures are told once, and then not at warning`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port)
        configuration.clientID = "logged"
        try await run(configuration) { _, log in
            #expect(await log.wait { $0.failures.count >= 4 })
            let failure = try #require(await log.failures.first)
            let warnings = lines.at(.warning)
            try #require(warnings.count == 1)
            let line = warnings[0]
            #expect(line.metadata["mqtt.attempt"] == "1")
            #expect(line.metadata["mqtt.endpoint"] == "localhost:\(port)")
            #expect(line.metadata["mqtt.phase"] == "connect")
            #expect(line.metadata["error.code"] == "connectionRefused")
            let delay = try #require(failure.retryIn)
            let (seconds, attoseconds) = delay.components
            let whole = Duration.milliseconds(seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
            #expect(line.metadata["mqtt.retry_in"] == "\(whole)")
            #expect(line.metadata["mqtt.client_id"] == "logged")
            #expect(lines.at(.debug).count { $0.message == "connecting failed as before" } >= 3)
            #expect(lines.at(.info).isEmpty && lines.at(.error).isEmpty)
        }
    }

    // A gateway of 200 clients had 800 warnings.
    @Test func `an outage is one warning, and the connection after it sums up the failures`() async throws {
        let port = try freePort()
        let first = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
        try await run(testConfiguration(port: port)) { _, log in
            #expect(await log.wait { $0.connections.count == 1 })
            await first.stop()
            #expect(await log.wait { $0.failures.count >= 4 })
            let second = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(lines.at(.warning).map(\.message) == ["disconnected"])
            let information = lines.at(.info)
            #expect(information.first?.metadata["mqtt.failures"] == nil)
            #expect(information.contains { $0.message == "connecting failed" })
            let end = try #require(information.last { $0.message == "connected" })
            let failures = await log.failures.count
            #expect(end.metadata["mqtt.failures"] == "\(failures)")
            #expect(end.metadata["mqtt.failing_for"] != nil)
            await second.stop()
        }
    }

    @Test func `another failure is news, and so is the same one after a connection`() async throws {
        let refusal = ConnectionScript.refuse(code: 0x88, close: true)
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [
                refusal, refusal, refusal, refusal, .refuse(code: 0x80, close: true),
                .serveThenClose(after: .milliseconds(10)), refusal, .serve,
            ])
        try await run(testConfiguration(port: broker.port)) { _, log in
            #expect(await log.wait { $0.connections.count == 2 })
            let attempts = lines.at(.warning).filter { $0.message == "connecting failed" }
            #expect(
                attempts.map { $0.metadata["mqtt.reason_code"].map { "\($0)" } } == [
                    "Server unavailable (0x88)", "Unspecified error (0x80)", "Server unavailable (0x88)",
                ])
            #expect(lines.at(.warning).count { $0.message == "disconnected" } == 1)
            #expect(lines.at(.info).count { $0.message == "connected" } == 2)
        }
        await broker.stop()
    }

    @Test func `what stops the client is an error, and no line has the password`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.refuse(code: 0x87, close: true), .refuse(code: 0x8A, close: true)])
        var configuration = testConfiguration(port: broker.port)
        configuration.credentials = RecordingProvider()
        try await run(configuration) { _, log in
            #expect(await log.wait { $0.stopped != nil })
            #expect(lines.at(.warning).map { $0.metadata["error.code"] } == ["notAuthorized", "refused"])
            #expect(lines.at(.error).map { $0.metadata["mqtt.reason_code"] } == ["Banned (0x8A)"])
            #expect(!lines.all.contains { "\($0)".contains("token-") })
        }
        await broker.stop()
    }

    @Test func `credentials without TLS to another machine are a warning`() async throws {
        // No host has this name (RFC 6761, section 6.4).
        for (host, warnings) in [("broker.invalid", 1), ("localhost", 0), ("127.0.0.1", 0)] {
            let port = try freePort()
            var configuration = testConfiguration(port: port, tls: nil)
            configuration.endpoints = [MQTTEndpoint(host: host, port: port)]
            configuration.credentials = RecordingProvider()
            let before = lines.at(.warning).count { $0.message.hasPrefix("credentials are sent without TLS") }
            try await run(configuration) { _, log in #expect(await log.wait { $0.names.contains("attemptStarted") }) }
            let after = lines.at(.warning).count { $0.message.hasPrefix("credentials are sent without TLS") }
            #expect(after - before == warnings, "\(host)")
        }
    }

    /// Such a message is lost with its connection: the broker keeps no session in which it could come again.
    @Test(arguments: [MQTTSession.clean, .persistent])
    func `acknowledgement after handling is a warning in a clean session only`(session: MQTTSession) async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = session
        configuration.clientID = "me"
        configuration.acknowledgement = .afterHandling
        _ = try await run(configuration) { client, _ in try await client.waitUntilConnected(timeout: .seconds(30)) }
        let warnings = lines.at(.warning).count { $0.message.contains("needs session .persistent") }
        #expect(warnings == (session == .clean ? 1 : 0))
        await broker.stop()
    }

    /// A call that waits for a client which nobody runs would wait for ever, and silently.
    @Test func `a call on a client that is not running is a warning after a while`() async throws {
        let client = MQTTClient(testConfiguration(port: try freePort(), tls: nil), logger: logger)
        let waiting = Task { try await client.waitUntilConnected(timeout: .seconds(60)) }
        #expect(
            await eventually {
                lines.at(.warning).contains { $0.message.contains("nothing runs the client; call start()") }
            })
        waiting.cancel()
        _ = await waiting.result
        try await client.shutdown()
    }

    @Test func `a lowered security level is a warning at each connection`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.ciphers = "DEFAULT:@SECLEVEL=1"
        try await run(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(lines.at(.warning).map { $0.metadata["tls.security_level"] } == ["1"])
        }
        await broker.stop()
    }

    /// A certificate is no secret.
    @Test func `a token and a key that every user can read are a warning each, once`() async throws {
        let folder = try TemporaryDirectory()
        let identity = try TestTLS.authority.clientIdentity(commonName: "dev1")
        let files = [
            try folder.write("t0ken\n", to: "token"), try folder.write(identity.privateKeyPEM, to: "client.key"),
            try folder.write(identity.certificatePEM, to: "client.pem"),
        ]
        for path in files + [folder.path] { #expect(chmod(path, 0o755) == 0) }
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.identity = .files(certificate: files[2], key: files[1])
        configuration.credentials = .file(files[0])
        try await run(configuration) { _, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.resetAll()
            #expect(await log.wait { $0.connections.count == 2 })
            let warnings = lines.at(.warning).filter { $0.message.hasPrefix("a file with a secret") }
            #expect(warnings.compactMap { $0.metadata["file.path"].map { "\($0)" } }.sorted() == files[..<2].sorted())
            #expect(warnings.allSatisfy { $0.metadata["file.mode"] == "0755" })
        }
        await broker.stop()
    }

    @Test func `a redirection says where to`() async throws {
        let target = try await ScriptedBroker.start(tls: TestTLS.identity)
        let origin = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [redirectingScript(0x9C, to: "localhost:\(target.port)")])
        var configuration = testConfiguration(port: origin.port)
        configuration.connection.redirects = .listed
        try await run(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(
                lines.at(.warning).map { $0.metadata["mqtt.redirected_to"] } == ["localhost:\(target.port)"])
        }
        await origin.stop()
        await target.stop()
    }
}
