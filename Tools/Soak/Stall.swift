// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Synchronization

#if os(Linux)
import Glibc

/// A consumer that stops reading while its broker has much for it.
struct Stall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A consumer that does not read for minutes: memory, losses, and another client of the same loop.")

    @Option(help: "How long the consumer does not read.")
    var minutes = 10.0

    @Option(help: "How many QoS 1 messages the broker gets for it meanwhile.")
    var messages = 100_000

    /// Shorter than the stall, so that the broker disconnects a client that sends nothing while it does not read.
    private static let keepAlive = Duration.seconds(10)
    /// Covers the buffer of the subscription, the bytes of a socket, and the memory that the allocator keeps.
    private static let mostGrowthKB = 32 << 10
    private static let worstLatency = Duration.milliseconds(50)

    func validate() throws {
        if minutes <= 0 || messages < 1 { throw ValidationError("More than nothing of both.") }
    }

    func run() async throws {
        let authority = try TestCertificateAuthority()
        let broker = try await LocalMosquitto.start(tls: authority.serverIdentity(), extraConfiguration: quietBroker)
        let signals = EndingSignals { broker.kill() }
        defer { withExtendedLifetime(signals) {} }
        func configuration(_ clientID: String) -> MQTTClientConfiguration {
            var configuration = MQTTClientConfiguration(
                host: "localhost", port: broker.port, tls: .init(trust: .pem(authority.certificatePEM)))
            configuration.clientID = clientID
            configuration.keepAlive = Self.keepAlive
            configuration.retry.baseDelay = .milliseconds(100)
            return configuration
        }
        var stalled = configuration("stalled")
        stalled.session = .persistent(expiry: .seconds(86_400))
        let consumer = MQTTClient(stalled, logger: .criticalOnly)
        let neighbour = MQTTClient(configuration("neighbour"), logger: .criticalOnly)
        let losses = Mutex<[String]>([])
        let follow = Task { [events = consumer.events()] in
            for await event in events {
                if case .disconnected(let lost) = event.kind { losses.withLock { $0.append("\(lost.error)") } }
            }
        }
        try await consumer.start()
        try await neighbour.start()
        let verdict: Verdict
        do {
            verdict = try await consumer.subscribe(to: MQTTSubscription("stall", qos: .atLeastOnce)) { incoming in
                try await measure(incoming, neighbour, configuration("publisher"))
            }
        } catch {
            try? await consumer.shutdown()
            try? await neighbour.shutdown()
            throw error
        }
        try? await consumer.shutdown()
        try? await neighbour.shutdown()
        await follow.value
        await broker.terminate()
        try report(verdict, losses.withLock { $0 })
    }

    private struct Verdict {
        var quiet: [Duration]
        var stalled: [Duration]
        var resuming: [Duration]
        var growthKB: Int
        var missing: Int
        var duplicates: Int
        var draining: Duration
    }

    private func measure(
        _ incoming: MQTTMessages, _ neighbour: MQTTClient, _ publisher: MQTTClientConfiguration
    ) async throws -> Verdict {
        let quiet = try await roundTrips(neighbour, for: .seconds(5))
        // The publisher ends before the measurement, so that its memory is not counted.
        var publisher = publisher
        publisher.publishing.queue.maximumMessages = messages + 1
        let count = messages
        try await withMQTTClient(publisher, logger: .criticalOnly) { client in
            for number in 0..<count { try client.enqueue("\(number)", to: "stall", qos: .atLeastOnce) }
            // Follows the other messages, and is acknowledged after them.
            try await client.publish("end", to: "stall", qos: .atLeastOnce)
        }
        let before = try await Footprint.settled().residentKB
        var most = before
        var stalled: [Duration] = []
        let end = ContinuousClock.now + .seconds(minutes * 60)
        while ContinuousClock.now < end {
            stalled += try await roundTrips(neighbour, for: min(.seconds(5), end - .now))
            most = max(most, try await Footprint.settled().residentKB)
        }
        let start = ContinuousClock.now
        let resuming = Task { try await roundTrips(neighbour, for: .seconds(5)) }
        let inbox = Inbox(count: messages + 1)
        // Ends with the last message, or with the deadline.
        let reading = Task {
            for await message in incoming where inbox.takeIsLast(Int(message.payloadString)) { return }
        }
        _ = await eventually(timeout: .seconds(120)) { inbox.missing == 0 }
        reading.cancel()
        await reading.value
        let draining = ContinuousClock.now - start
        return Verdict(
            quiet: quiet, stalled: stalled, resuming: try await resuming.value, growthKB: most - before,
            missing: inbox.missing, duplicates: inbox.duplicates, draining: draining)
    }

    /// The numbers that have arrived. The last one is that of the message without a number.
    private final class Inbox: Sendable {
        private let state: Mutex<(seen: [Bool], missing: Int, duplicates: Int)>

        init(count: Int) { state = Mutex((Array(repeating: false, count: count), count, 0)) }

        var missing: Int { state.withLock { $0.missing } }
        var duplicates: Int { state.withLock { $0.duplicates } }

        func takeIsLast(_ number: Int?) -> Bool {
            state.withLock { state in
                let index = number ?? state.seen.count - 1
                if state.seen[index] { state.duplicates += 1 } else { state.missing -= 1 }
                state.seen[index] = true
                return state.missing == 0
            }
        }
    }

    /// Returns the durations of successive QoS 1 publishes.
    private func roundTrips(_ client: MQTTClient, for time: Duration) async throws -> [Duration] {
        try await RoundTrips.measure(client) { try await Task.sleep(for: time) }.times
    }

    private func report(_ verdict: Verdict, _ losses: [String]) throws {
        print("| the neighbour's round trips | p50 | p99 | longest |")
        print("| --- | ---: | ---: | ---: |")
        for (name, trips) in [
            ("before", verdict.quiet), ("while nothing is read", verdict.stalled),
            ("while all is read", verdict.resuming),
        ] {
            let columns = [0.5, 0.99, 1].map { milliseconds(quantile($0, trips)) }
            print("| \(name) | \(columns.joined(separator: " | ")) |")
        }
        print("\nFor \(minutes) min nothing was read of \(messages) messages; then all was ", terminator: "")
        print("in \(milliseconds(verdict.draining)), \(verdict.duplicates) twice.")
        var bounds = Bounds()
        bounds.check(verdict.missing == 0, "\(verdict.missing) messages are missing")
        bounds.check(
            verdict.growthKB <= Self.mostGrowthKB,
            "resident memory grew by \(verdict.growthKB) KB; bound \(Self.mostGrowthKB) KB")
        let first = losses.first.map { " (\($0))" } ?? ""
        bounds.check(losses.isEmpty, "the connection was lost \(losses.count) times\(first)")
        bounds.check(
            quantile(0.99, verdict.stalled) <= Self.worstLatency,
            "the neighbour meanwhile: \(latencies(verdict.stalled)); bound of p99 \(milliseconds(Self.worstLatency))")
        try bounds.enforce()
    }
}
#endif
