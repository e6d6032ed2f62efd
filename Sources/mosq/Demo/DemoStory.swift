// SPDX-License-Identifier: Apache-2.0

#if Testing
import Logging
import Mosquitto
import MosquittoTesting
import Synchronization

/// The acts of the demo, in order; each waits for the event that it shows.
final class DemoStory: Sendable {
    private struct Seen {
        var attempts = 0
        var failures: [MQTTError.Code] = []
        var connections = 0
        var gaps: [Duration] = []
    }

    private let stage: any DemoStage
    private let screen: DemoScreen
    private let folder: TemporaryDirectory
    private let seen = Mutex(Seen())
    private let received = Mutex(Set<Int>())

    init(_ stage: any DemoStage, screen: DemoScreen) throws {
        self.stage = stage
        self.screen = screen
        folder = try TemporaryDirectory()
    }

    private struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    func tell() async throws -> DemoSummary {
        try folder.write(try TestCertificateAuthority(commonName: "another authority").certificatePEM, to: "ca.pem")
        let client = MQTTClient(configuration(), logger: Logger(label: "demo") { _ in SwiftLogNoOpLogHandler() })
        let events = client.events()
        let narrator = Task { for await event in events { narrate(event) } }

        screen.line("The program starts. Nothing listens at localhost:\(stage.port) yet.", .step)
        try await client.start()
        try await wait("a refused connection") { $0.failures.filter { $0 == .connectionRefused }.count >= 2 }

        screen.line("The broker comes up, with a certificate of an authority that is not trusted.", .step)
        try await stage.open()
        try await wait("an untrusted certificate") { $0.failures.contains(.tlsVerification) }

        screen.line("The authority is added to the file of trusted ones. The token in hand is expired.", .step)
        if let note = stage.note { screen.line(note) }
        try folder.write(stage.authorityPEM, to: "ca.pem")
        try await wait("a connection") { $0.connections >= 1 }
        try await wait("a refused token") { $0.failures.contains(.notAuthorized) }

        screen.line("Messages flow at QoS 1, 200 a second, to the broker and back. Each token lasts 5 s.", .step)
        let summary = try await client.subscribe(to: "demo/messages") { messages in
            let reader = Task {
                for await message in messages {
                    if let number = Int(message.payloadString) { received.withLock { _ = $0.insert(number) } }
                }
            }
            defer { reader.cancel() }
            let sender = Task { try await send(client) }
            try await wait("two rotations", .seconds(40)) { $0.gaps.count >= 2 }
            screen.line("The broker goes away under load.", .step)
            let failures = seen.withLock { $0.failures.count }
            await stage.close()
            try await wait("a lost broker") { $0.failures.count > failures }
            screen.line("The broker is back.", .step)
            let before = seen.withLock { $0.connections }
            try await stage.reopen()
            try await wait("the return of the client") { $0.connections > before }
            try await Task.sleep(for: .seconds(1))
            sender.cancel()
            let sent = try await sender.value
            _ = await eventually(timeout: .seconds(20)) { received.withLock { $0.count } >= sent }
            return summarize(sent)
        }
        try? await client.shutdown()
        await narrator.value
        return summary
    }

    private func configuration() -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: stage.port, tls: MQTTTLSConfiguration(trust: .file(folder.path + "/ca.pem")))
        configuration.clientID = "mosq-demo"
        configuration.session = .persistent
        configuration.retry.baseDelay = .milliseconds(300)
        configuration.retry.maximumDelay = .seconds(1)
        configuration.retry.minimumDelay = .milliseconds(200)
        configuration.credentials = .closure { [stage] attempt in
            // The first token has already expired. All later ones are fresh.
            let isExpired = attempt.isInitial && attempt.purpose == .connect
            return stage.credentials(lifetime: .seconds(isExpired ? -60 : 5))
        }
        return configuration
    }

    /// Publishes 200 messages a second until the task is cancelled. Returns their number.
    private func send(_ client: MQTTClient) async throws -> Int {
        var sent = 0
        let start = ContinuousClock.now
        while !Task.isCancelled {
            let due = Int((ContinuousClock.now - start) / .milliseconds(5))
            while sent < due {
                try client.enqueue("\(sent)", to: "demo/messages", qos: .atLeastOnce)
                sent += 1
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return sent
    }

    private func summarize(_ sent: Int) -> DemoSummary {
        let seen = seen.withLock { $0 }
        let received = received.withLock { $0 }
        return DemoSummary(
            attempts: seen.attempts, failures: seen.failures.count, gaps: seen.gaps, sent: sent,
            received: received.count,
            lost: (0..<sent).count { !received.contains($0) }, missing: seen.gaps.count < 2 ? "two rotations" : nil)
    }

    private func wait(
        _ what: String, _ timeout: Duration = .seconds(10), _ condition: (borrowing Seen) -> Bool
    ) async throws {
        guard await eventually(timeout: timeout, { seen.withLock { condition($0) } }) else {
            throw Missing(description: "\(what) did not come")
        }
    }

    private func narrate(_ event: MQTTConnectionEvent) {
        switch event.kind {
        case .attemptStarted: seen.withLock { $0.attempts += 1 }
        case .attemptFailed(let failed):
            seen.withLock { $0.failures.append(failed.error.code) }
            screen.line("failed: \(failed.error.message); \(next(failed.decision, failed.retryIn))", .bad)
        case .connected(let info):
            seen.withLock { $0.connections += 1 }
            screen.line(
                "connected, \(info.tls?.version ?? "plain TCP"), session \(info.sessionPresent ? "resumed" : "new")",
                .good)
        case .disconnected(let lost):
            screen.line("lost: \(lost.error.message); \(next(lost.decision, lost.retryIn))", .bad)
        case .credentialsRotated(let rotated):
            seen.withLock { $0.gaps.append(rotated.gap) }
            screen.line("rotated the token before its expiry", .good)
        case .credentialsRefreshed, .credentialsFailed, .resubscribed, .subscriptionRefused, .messagesDropped,
            .messagesUnsent, .delayEnded, .stopped:
            break
        }
    }

    private func next(_ decision: MQTTRetryPolicy.Decision, _ delay: Duration?) -> String {
        switch decision {
        case .retry: "again in \(Int((delay ?? .zero) / .milliseconds(1))) ms"
        case .retryWithFreshCredentials: "again at once with a fresh token"
        case .redirect: "on to where the broker sends it"
        case .stop: "the end"
        }
    }
}
#endif
