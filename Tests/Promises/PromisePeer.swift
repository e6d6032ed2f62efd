// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Synchronization

/// A client that publishes and subscribes at random while its connections are cut.
final class PromisePeer: Sendable {
    struct Role: Sendable {
        var version: MQTTVersion
        var isTLS: Bool
        var session: MQTTSession
        /// Each entry is a subscription scope of its own, for as long as the client runs.
        var filters: [[MQTTSubscription]]
        /// The filter to which the peer subscribes and unsubscribes repeatedly.
        var fleeting: MQTTTopicFilter?
        var receiveMaximum: UInt16 = 65_535
        var maximumInFlight = 100
    }

    struct Counts: Sendable {
        var connections = 0
        var attempts = 0
        /// Number of connections for which the broker had no session.
        var newSessions = 0
        var subscriptions = 0
    }

    private struct State {
        var counts = Counts()
        var isPublishing = false
        /// Publishes that wait for their acknowledgement.
        var waiting = 0
        var tasks: [Task<Void, Never>] = []
        var round: [Task<Void, Never>] = []
    }

    private let number: Int
    private let role: Role
    private let topics: [String]
    private let ledger: PromiseLedger
    /// The number of the first of its consumers in the ledger; the fleeting one is the last.
    private let firstConsumer: Int
    private let client: MQTTClient
    private let state = Mutex(State())

    init(
        _ number: Int, _ role: Role, topics: [String], configuration: MQTTClientConfiguration, ledger: PromiseLedger,
        firstConsumer: Int
    ) {
        self.number = number
        self.role = role
        self.topics = topics
        self.ledger = ledger
        self.firstConsumer = firstConsumer
        var logger = Logger(label: "promises")
        logger.logLevel = .critical
        client = MQTTClient(configuration, logger: logger)
    }

    var counts: Counts { state.withLock { $0.counts } }
    /// Publishes without an answer.
    var waiting: Int { state.withLock { $0.waiting } }
    var description: String { "peer \(number), \(client.state)" }

    // MARK: All the time

    func start() async throws {
        let events = client.events()
        try await client.start()
        let ready = Mutex(0)
        add { [self] in await follow(events) }
        for (index, filters) in role.filters.enumerated() {
            add { [self] in
                do {
                    try await client.subscribe(to: filters) { messages in
                        ready.withLock { $0 += 1 }
                        for await message in messages { ledger.received(message, by: firstConsumer + index) }
                    }
                } catch {
                    ledger.violate("peer \(number) could not subscribe to \(filters.map(\.filter)): \(error)")
                }
            }
        }
        guard await eventually({ ready.withLock { $0 } == role.filters.count }) else {
            throw PromiseFailure("peer \(number) could not subscribe in 30 s; \(client.state)")
        }
    }

    func shutDown() async {
        try? await client.shutdown()
        for task in state.withLock({ $0.tasks }) { await task.value }
    }

    private func add(_ body: @escaping @Sendable () async -> Void) {
        let task = Task { await body() }
        state.withLock { $0.tasks.append(task) }
    }

    private func follow(_ events: MQTTConnectionEvents) async {
        for await event in events {
            state.withLock { state in
                switch event.kind {
                case .attemptStarted: state.counts.attempts += 1
                case .connected(let info):
                    state.counts.connections += 1
                    if !info.sessionPresent { state.counts.newSessions += 1 }
                default: break
                }
            }
            if case .stopped(let error?) = event.kind { ledger.violate("peer \(number) has stopped: \(error)") }
        }
    }

    // MARK: A round

    func beginRound(seed: UInt64, limit: Int?) {
        state.withLock { $0.isPublishing = true }
        let publishing = Task { await publish(JitterGenerator(seed: seed), limit: limit) }
        let subscribing = Task { await subscribeFleetingly(JitterGenerator(seed: ~seed)) }
        state.withLock { $0.round = [publishing, subscribing] }
    }

    /// Returns when nothing more is published. Published messages may still be in flight.
    func endRound() async {
        let tasks = state.withLock { state in
            state.isPublishing = false
            return state.round
        }
        for task in tasks { await task.value }
    }

    private var isPublishing: Bool { state.withLock { $0.isPublishing } && ledger.violation == nil }

    private func publish(_ numbers: JitterGenerator, limit: Int?) async {
        var numbers = numbers
        var published = 0
        while isPublishing, published < limit ?? .max {
            let burst = Int.random(in: 1...40, using: &numbers)
            for _ in 0..<burst { publishOne(&numbers) }
            published += burst
            // Waits until few publishes are outstanding, and the broker has few messages left to deliver.
            _ = await eventually(timeout: .seconds(3_600), pollEvery: .milliseconds(2)) {
                !isPublishing || waiting < 300 && ledger.backlog < 3_000
            }
        }
    }

    private func publishOne(_ numbers: inout JitterGenerator) {
        let topic = topics.randomElement(using: &numbers) ?? "t"
        let qos =
            [MQTTQoS.atMostOnce, .atLeastOnce, .atLeastOnce, .exactlyOnce, .exactlyOnce]
            .randomElement(using: &numbers) ?? .exactlyOnce
        let padding =
            Int.random(in: 0..<50, using: &numbers) == 0
            ? Int.random(in: 0...20_000, using: &numbers) : Int.random(in: 0...300, using: &numbers)
        let stamp = ledger.issue(Series(publisher: number, topic: topic, qos: qos))
        let payload = stamp.payload(padding: padding)
        if Int.random(in: 0..<8, using: &numbers) == 0 {
            do throws(MQTTError) { try client.enqueue(payload, to: topic, qos: qos) } catch {
                ledger.violate("peer \(number) could not enqueue \(stamp.series): \(error)")
            }
            return
        }
        state.withLock { $0.waiting += 1 }
        // The message is in the client's queue when this call returns: the next one follows it.
        Task.begunHere { [self] in
            do throws(MQTTError) {
                try await client.publish(payload, to: topic, qos: qos)
                ledger.acknowledged(stamp)
            } catch {
                ledger.violate("peer \(number) could not publish \(stamp.series): \(error)")
            }
            state.withLock { $0.waiting -= 1 }
        }
    }

    private func subscribeFleetingly(_ numbers: JitterGenerator) async {
        guard let filter = role.fleeting else { return }
        var numbers = numbers
        let consumer = firstConsumer + role.filters.count
        while isPublishing {
            let time = Duration.milliseconds(Int.random(in: 0...300, using: &numbers))
            do {
                try await client.subscribe(to: MQTTSubscription(filter, qos: .exactlyOnce)) { [self] messages in
                    let reading = Task {
                        for await message in messages { ledger.received(message, by: consumer) }
                    }
                    try await Task.sleep(for: time)
                    reading.cancel()
                    await reading.value
                }
            } catch {
                ledger.violate("peer \(number) could not subscribe to \(filter): \(error)")
            }
            state.withLock { $0.counts.subscriptions += 1 }
        }
    }
}
