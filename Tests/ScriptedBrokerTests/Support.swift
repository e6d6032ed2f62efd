// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting

/// A certificate authority and an identity for localhost, made once.
enum TestTLS {
    static let authority: TestCertificateAuthority = make { try TestCertificateAuthority() }
    static let identity: TestIdentity = make { try authority.serverIdentity() }

    private static func make<T>(_ body: () throws -> T) -> T {
        do { return try body() } catch { fatalError("the test certificates cannot be made: \(error)") }
    }
}

/// Returns the base configuration of every test's client: short retry delays, and the default deadlines.
func testConfiguration(
    port: Int, version: MQTTVersion = .v5_0,
    tls: MQTTTLSConfiguration? = .init(trust: .pem(TestTLS.authority.certificatePEM))
) -> MQTTClientConfiguration {
    var configuration = MQTTClientConfiguration(host: "localhost", port: port, tls: tls)
    // For persistent sessions too.
    configuration.clientID = "test-\(UInt64.random(in: 0 ... .max))"
    configuration.version = version
    configuration.retry.baseDelay = .milliseconds(50)
    configuration.retry.maximumDelay = .milliseconds(200)
    configuration.retry.minimumDelay = .milliseconds(10)
    configuration.retry.minimumAuthenticationDelay = .milliseconds(200)
    configuration.retry.seed = 1
    configuration.rotation.jitter = 0
    return configuration
}

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// The events of a client, collected from the moment of the call.
actor EventLog {
    private(set) var events: [MQTTConnectionEvent] = []
    private var task: Task<Void, Never>?

    init(_ client: MQTTClient) {
        let stream = client.events()
        task = nil
        Task { await self.collect(stream) }
    }

    private func collect(_ stream: MQTTConnectionEvents) async {
        for await event in stream { events.append(event) }
    }

    /// The failed attempts so far.
    var failures: [MQTTConnectionAttemptFailed] {
        events.compactMap { if case .attemptFailed(let failed) = $0.kind { failed } else { nil } }
    }

    var rotations: [MQTTCredentialsRotated] {
        events.compactMap { if case .credentialsRotated(let rotated) = $0.kind { rotated } else { nil } }
    }

    var disconnections: [MQTTDisconnection] {
        events.compactMap { if case .disconnected(let lost) = $0.kind { lost } else { nil } }
    }

    var names: [String] { events.map(\.kind.name) }

    /// Waits until the log satisfies a condition.
    func wait(timeout: Duration = .seconds(30), until condition: @Sendable (isolated EventLog) -> Bool) async -> Bool {
        await eventually(timeout: timeout) { condition(self) }
    }
}

/// Runs a client in the background while `body` runs, and shuts it down.
func withRunningClient<R>(
    _ configuration: MQTTClientConfiguration, _ body: (MQTTClient, EventLog) async throws -> R
) async throws -> R {
    try await withRunning(MQTTClient(configuration, logger: quiet), body)
}

/// The same for a client that the test has made.
func withRunning<R>(_ client: MQTTClient, _ body: (MQTTClient, EventLog) async throws -> R) async throws -> R {
    let log = EventLog(client)
    try await client.start()
    do {
        let result = try await body(client, log)
        try? await client.shutdown()
        return result
    } catch {
        try? await client.shutdown()
        throw error
    }
}

/// Counts, from any task.
actor Counter {
    private(set) var value = 0
    func increment() { value += 1 }
    func next() -> Int {
        value += 1
        return value
    }
}
