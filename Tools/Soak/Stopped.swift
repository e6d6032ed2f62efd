// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Synchronization

#if os(Linux)
/// A broker that stops for a while under load, and resumes.
struct Stopped: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A broker that is stopped (SIGSTOP) under load: memory, another client of the loop, and losses.")

    @Option(help: "How long the broker is stopped, in seconds.")
    var seconds = 30.0

    @Flag(help: "Only with the keep-alive that outlasts it.")
    var once = false

    @Option(help: "How many tasks publish with QoS 1; half of them find the queue full.")
    var tasks = 2_000

    @Option(help: "How many bytes a message has.")
    var size = 1_024

    @Option(help: "Bound of the growth of resident memory, in KB.")
    var mostGrowthKB = 32 << 10

    @Option(help: "Bound of the 99th percentile of the other client, in milliseconds.")
    var mostLatency = 20.0

    func validate() throws {
        if seconds <= 0 || tasks < 2 || size < 16 { throw ValidationError("More than nothing of each.") }
    }

    func run() async throws {
        let authority = try TestCertificateAuthority()
        let identity = try authority.serverIdentity()
        var bounds = Bounds()
        // The connection survives the first stop; the second one ends it, so that the client must resume the session.
        for keepAlive in [Duration.seconds(120 + Int(seconds) * 4), .seconds(5)].prefix(once ? 1 : 2) {
            let broker = try await LocalMosquitto.start(tls: identity, extraConfiguration: quietBroker)
            let other = try await LocalMosquitto.start(tls: identity, extraConfiguration: quietBroker)
            let signals = EndingSignals {
                broker.kill()
                other.kill()
            }
            defer { withExtendedLifetime(signals) {} }
            let outlasts = keepAlive > .seconds(seconds * 2)
            print("keep-alive \(keepAlive), broker stopped for \(seconds) s:")
            let seen = try await measure(broker, other, keepAlive, authority)
            check(seen, outlasts, &bounds)
            await broker.terminate()
            await other.terminate()
        }
        try bounds.enforce()
    }

    private struct Seen: Sendable {
        var before: [Duration]
        var stopped: [Duration]
        var after: [Duration]
        var growthKB: Int
        var losses: Int
        var acknowledged: Int
        var failed: Int
        var missing: Int
        var duplicates: Int
        var sentQoS0: Int
        var receivedQoS0: Int
        var draining: Duration
    }

    private func measure(
        _ broker: LocalMosquitto, _ other: LocalMosquitto, _ keepAlive: Duration, _ authority: TestCertificateAuthority
    ) async throws -> Seen {
        func configuration(_ name: String, _ port: Int) -> MQTTClientConfiguration {
            var configuration = MQTTClientConfiguration(
                host: "localhost", port: port, tls: .init(trust: .pem(authority.certificatePEM)))
            configuration.clientID = name
            configuration.keepAlive = keepAlive
            configuration.session = .persistent(expiry: .seconds(86_400))
            configuration.retry.baseDelay = .milliseconds(200)
            configuration.retry.maximumDelay = .seconds(2)
            return configuration
        }
        let loop = MosquittoEventLoop()
        var busy = configuration("publisher", broker.port)
        busy.publishing.queue.maximumMessages = tasks / 2
        let publisher = MQTTClient(busy, eventLoop: loop, logger: .criticalOnly)
        let neighbour = MQTTClient(configuration("neighbour", other.port), eventLoop: loop, logger: .criticalOnly)
        let subscriber = MQTTClient(
            configuration("subscriber", broker.port), eventLoop: MosquittoEventLoop(), logger: .criticalOnly)
        let losses = Mutex(0)
        let follow = Task { [events = publisher.events()] in
            for await event in events {
                if case .disconnected = event.kind { losses.withLock { $0 += 1 } }
            }
        }
        let clients = [publisher, neighbour, subscriber]
        let seen: Seen
        do {
            for client in clients { try await client.start() }
            for client in clients { try await client.waitUntilConnected(timeout: .seconds(30)) }
            let received = Received()
            let subscription = MQTTSubscription("load/#", qos: .atLeastOnce)
            seen = try await subscriber.subscribe(to: subscription) { messages in
                let reading = Task { for await message in messages { received.take(message) } }
                defer { reading.cancel() }
                return try await load(publisher, neighbour, broker, received) { losses.withLock { $0 } }
            }
        } catch {
            broker.resume()
            for client in clients { try? await client.shutdown() }
            throw error
        }
        for client in clients { try? await client.shutdown() }
        await follow.value
        return seen
    }

    private func load(
        _ publisher: MQTTClient, _ neighbour: MQTTClient, _ broker: LocalMosquitto, _ received: Received,
        _ losses: @Sendable () -> Int
    ) async throws -> Seen {
        let load = Load(publisher, size: size)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<tasks { group.addTask { await load.publishAtLeastOnce() } }
            for _ in 0..<64 { group.addTask { await load.publishAtMostOnce() } }
            defer { load.end() }
            let before = try await RoundTrips.measure(neighbour) {
                try await Task.sleep(for: .seconds(min(5, seconds)))
            }
            let start = try ThisProcess.residentKB()
            let (lostBefore, doneBefore) = (losses(), load.acknowledged.count)
            broker.suspend()
            let stopped = try await RoundTrips.measure(neighbour) {
                let end = ContinuousClock.now + .seconds(seconds)
                var most = start
                while ContinuousClock.now < end {
                    try await Task.sleep(for: min(.milliseconds(100), end - .now))
                    most = max(most, try ThisProcess.residentKB())
                }
                return most
            }
            if load.acknowledged.count > doneBefore + 4_096 { throw SoakFailure("the broker was not stopped") }
            broker.resume()
            let clock = ContinuousClock.now
            let after = try await RoundTrips.measure(neighbour) {
                // Waits until the load continues as before.
                let resumed = load.acknowledged.count
                _ = await eventually(timeout: .seconds(60)) { load.acknowledged.count > resumed + 2 * tasks }
            }
            let draining = ContinuousClock.now - clock
            load.end()
            try await group.waitForAll()
            let acknowledged = load.acknowledged
            _ = await eventually(timeout: .seconds(120), pollEvery: .milliseconds(100)) {
                received.missing(of: acknowledged) == 0
            }
            return Seen(
                before: before.times, stopped: stopped.times, after: after.times, growthKB: stopped.result - start,
                losses: losses() - lostBefore, acknowledged: acknowledged.count, failed: load.failures,
                missing: received.missing(of: acknowledged), duplicates: received.duplicates, sentQoS0: load.sentQoS0,
                receivedQoS0: received.qos0, draining: draining)
        }
    }

    private func check(_ seen: Seen, _ outlasts: Bool, _ bounds: inout Bounds) {
        print("       the other client before: \(latencies(seen.before)); after: \(latencies(seen.after))")
        print("       \(seen.receivedQoS0) of \(seen.sentQoS0) messages with QoS 0 have come")
        print("       \(2 * tasks) messages were acknowledged \(milliseconds(seen.draining)) after the broker went on")
        bounds.check(
            seen.growthKB <= mostGrowthKB,
            "resident memory grew by \(seen.growthKB) KB meanwhile; bound \(mostGrowthKB) KB")
        bounds.check(
            quantile(0.99, seen.stopped) < .milliseconds(mostLatency),
            "the other client meanwhile: \(latencies(seen.stopped)); bound of p99 \(mostLatency) ms")
        bounds.check(
            seen.missing == 0 && seen.failed == 0,
            "\(seen.missing) of \(seen.acknowledged) messages with QoS 1 are missing, \(seen.failed) failed")
        if outlasts {
            bounds.check(
                seen.losses == 0 && seen.duplicates == 0,
                "the connection was lost \(seen.losses) times, \(seen.duplicates) messages came twice; bounds 0")
        } else {
            bounds.check(
                seen.losses > 0,
                "the connection was lost \(seen.losses) times, \(seen.duplicates) messages came twice; at least once")
        }
    }
}
#endif
