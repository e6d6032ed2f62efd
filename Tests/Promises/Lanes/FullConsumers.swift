// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization

extension PromiseLane {
    /// A consumer with a full buffer delays the broker, but neither the next handshake nor a token rotation.
    static let fullConsumers = PromiseLane(
        name: "full-consumers",
        statement: "A consumer of capacity 1 that sleeps: reset or rotated, its client is connected again within 5 s; "
            + "each QoS 1 message comes."
    ) { run in
        try await run.withBroker { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, isTLS) in [true, false, true, false].enumerated() {
                    let version: MQTTVersion = number < 2 ? .v5_0 : .v3_1_1
                    group.addTask {
                        try await FullConsumer(run, broker, number, isTLS: isTLS, version).run()
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// One client that consumes slowly, and one that publishes to it.
private final class FullConsumer: Sendable {
    /// Two seconds are promised; this machine may be busy.
    private var limit: Duration { .seconds(5) + run.slack }

    private let run: LaneRun
    private let broker: LaneBroker
    private let number: Int
    private let isTLS: Bool
    private let version: MQTTVersion
    private let state = Mutex((isHeld: false, received: Set<String>(), isOver: false))

    init(_ run: LaneRun, _ broker: LaneBroker, _ number: Int, isTLS: Bool, _ version: MQTTVersion) {
        (self.run, self.broker, self.number, self.isTLS, self.version) = (run, broker, number, isTLS, version)
    }

    private var topic: String { "full/\(number)" }
    private var isHeld: Bool { state.withLock { $0.isHeld } }
    private var received: Int { state.withLock { $0.received.count } }

    func run() async throws {
        let proxy = try TCPProxy(to: broker.port(isTLS: isTLS))
        defer { proxy.stop() }
        var configuration = broker.configuration("full-\(number)", port: proxy.port, isTLS: isTLS, version: version)
        configuration.session = .persistent(expiry: .seconds(3_600))
        let tokens = Atomic(0)
        configuration.credentials = .closure { _ in
            let token = tokens.wrappingAdd(1, ordering: .relaxed).newValue
            return MQTTCredentials(username: "full", password: MQTTSecret("token \(token)"))
        }
        try await run.withClient(configuration) { client, watch in
            let consumer = Task { try await consume(client) }
            defer { consumer.cancel() }
            try await run.withClient(broker.configuration("source-\(number)", port: broker.plainPort)) { source, _ in
                _ = try await source.waitUntilConnected(timeout: .seconds(30))
                try await run.require(within: .seconds(30), "\(topic) is not subscribed") { self.isSubscribed.isRaised }
                try await disturb(client, watch, source, proxy)
            }
        }
    }

    private let isSubscribed = Flag()

    private func consume(_ client: MQTTClient) async throws {
        let buffer = MQTTBufferPolicy(capacity: 1, whenFull: .pauseReading)
        let subscription = MQTTSubscription(topic, qos: .atLeastOnce)
        try await client.subscribe(to: subscription, buffer: buffer) { [self] messages in
            isSubscribed.raise()
            for await message in messages {
                // The buffer stays full as long as the disturbance lasts.
                while isHeld { try await Task.sleep(for: .milliseconds(5)) }
                let text = message.payloadString.prefix { $0 != " " }
                state.withLock { _ = $0.received.insert(String(text)) }
            }
        }
    }

    private func disturb(
        _ client: MQTTClient, _ watch: ClientWatch, _ source: MQTTClient, _ proxy: TCPProxy
    ) async throws {
        var numbers = JitterGenerator(seed: run.seed &+ UInt64(number))
        var published = 0
        repeat {
            state.withLock { $0.isHeld = true }
            for _ in 0..<Int.random(in: 5...30, using: &numbers) {
                let padding = String(repeating: "x", count: Int.random(in: 0...5_000, using: &numbers))
                try await source.publish("\(published) " + padding, to: topic)
                published += 1
            }
            for _ in 0..<Int.random(in: 1...2, using: &numbers) {
                try await disturbOnce(client, watch, proxy, isReset: Bool.random(using: &numbers))
            }
            state.withLock { $0.isHeld = false }
            let expected = published
            try await run.require(within: .seconds(30), "\(topic): \(received) of \(expected) messages came") {
                received == expected
            }
        } while run.hasTime
        run.count("messages", published)
    }

    private func disturbOnce(
        _ client: MQTTClient, _ watch: ClientWatch, _ proxy: TCPProxy, isReset: Bool
    ) async throws {
        let before = watch.connections
        let rotation = isReset ? nil : Task { try await client.rotateCredentials() }
        if isReset { proxy.end(.reset) }
        let what = isReset ? "a reset" : "a rotation"
        try await run.require(
            within: limit,
            "\(topic) (TLS: \(isTLS), \(version)): a client whose consumer is full is connected after \(what)"
        ) { watch.connections > before }
        try await rotation?.value
        run.count(isReset ? "resets" : "rotations")
    }
}
