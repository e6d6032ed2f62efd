// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Mosquitto
import MosquittoTesting
import Synchronization

/// Publishers with QoS 1 and subscribers with a persistent session, whose endpoints are all nodes of a cluster, while the
/// nodes fail and the clients' tokens are rotated.
package struct ClusterRun: Sendable {
    package struct Report: Sendable {
        package var published = 0
        package var acknowledged = 0
        package var received = 0
        /// Number of messages that some subscriber has not received; a message counts once for each subscriber.
        package var lost = 0
        package var duplicates = 0
        /// The errors of clients that stopped by themselves.
        package var stopped: [String] = []
        package var figures: [ClusterFault?: FaultBook.Figures] = [:]
        /// The first message that was lost, came where it was not published, or could not be published.
        package var violation: String?
    }

    package var publishers = 4
    package var subscribers = 4
    /// Messages a second of each publisher.
    package var rate = 20
    package var faults: ClusterFaults
    /// The tokens are valid for three times as long, so that none expires while a busy machine rotates it.
    package var rotationPeriod = Duration.seconds(8)
    /// The time limit for the messages that are under way at the end.
    package var settling = Duration.seconds(120)

    package init(faults: ClusterFaults) { self.faults = faults }

    /// Runs for a while, until the end of the last fault. `onFault` is called at the beginning of each fault.
    package func run(
        on cluster: BrokerCluster, for duration: Duration,
        onFault: @escaping @Sendable (ClusterFault, _ node: Int, ClusterProgress) -> Void = { _, _, _ in }
    ) async throws -> Report {
        let work = ClusterWork(self, cluster)
        do {
            try await work.start()
            try await faults.run(on: cluster, until: .now + duration) { fault, node in
                work.book.begin(fault)
                onFault(fault, node, work.progress)
            }
        } catch {
            await work.shutDown()
            throw error
        }
        await work.endPublishing()
        _ = await eventually(timeout: settling, pollEvery: .milliseconds(20)) {
            work.isSettled || !work.book.stopped.isEmpty
        }
        // Duplicates come late: a broker delivers again what was not acknowledged in time.
        try await Task.sleep(for: .seconds(1))
        let report = work.report
        await work.shutDown()
        return report
    }

    /// A configuration for a long life beside failing nodes: they are noticed within seconds.
    func configuration(_ name: String, on cluster: BrokerCluster) -> MQTTClientConfiguration {
        var configuration = cluster.configuration(name, lifetime: rotationPeriod * 3)
        configuration.connection.endpointOrder = .shuffled
        configuration.session = .persistent
        configuration.keepAlive = .seconds(5)
        configuration.timeouts.attempt = .seconds(5)
        configuration.rotation.refreshAt = 1.0 / 3
        configuration.retry.baseDelay = .milliseconds(200)
        configuration.retry.maximumDelay = .seconds(2)
        return configuration
    }
}

/// Counts of a run that is going on.
package struct ClusterProgress: Sendable {
    package var acknowledged: Int
    /// Publishes without an answer.
    package var waiting: Int
    /// Messages that subscribers have not received yet.
    package var outstanding: Int
}

/// The clients of a run.
private final class ClusterWork: Sendable {
    let book = FaultBook()

    private struct State {
        var waiting = 0
        var isPublishing = true
        var publishing: [Task<Void, Never>] = []
        var tasks: [Task<Void, Never>] = []
    }

    private let run: ClusterRun
    private let ledger: PromiseLedger
    private let publishers: [MQTTClient]
    private let subscribers: [MQTTClient]
    private let ready = Atomic(0)
    private let state = Mutex(State())

    init(_ run: ClusterRun, _ cluster: BrokerCluster) {
        self.run = run
        let subscription = MQTTSubscription("cluster/#", qos: .atLeastOnce)
        ledger = PromiseLedger(
            consumers: (0..<run.subscribers).map {
                .init("subscriber \($0)", [subscription], isStable: true, isOrdered: false)
            }, cleanPublishers: [])
        ledger.beginRound(0)
        publishers = (0..<run.publishers).map {
            MQTTClient(run.configuration("publisher-\($0)", on: cluster), logger: .promises)
        }
        subscribers = (0..<run.subscribers).map {
            MQTTClient(run.configuration("subscriber-\($0)", on: cluster), logger: .promises)
        }
    }

    var progress: ClusterProgress {
        ClusterProgress(
            acknowledged: ledger.counts[.atLeastOnce]?.acknowledged ?? 0, waiting: state.withLock { $0.waiting },
            outstanding: ledger.outstanding)
    }

    var isSettled: Bool { state.withLock { $0.waiting == 0 } && ledger.outstanding == 0 }

    var report: ClusterRun.Report {
        let counts = ledger.counts[.atLeastOnce] ?? .init()
        return ClusterRun.Report(
            published: counts.published, acknowledged: counts.acknowledged, received: counts.received,
            lost: ledger.outstanding, duplicates: counts.duplicates,
            stopped: book.stopped, figures: book.figures, violation: ledger.violation ?? ledger.missing())
    }

    // MARK: Life

    /// Starts the clients, and publishes once all subscribers have their subscription.
    func start() async throws {
        for client in publishers + subscribers {
            let events = client.events()
            add { [book] in await FaultWatch(book).follow(events) }
            try await client.start()
        }
        for (number, client) in subscribers.enumerated() {
            add { [self] in await receive(client, number) }
        }
        let count = subscribers.count
        guard await eventually(timeout: .seconds(60), { ready.load(ordering: .relaxed) == count }) else {
            throw PromiseFailure(ledger.violation ?? "the subscribers have no subscription after 60 s")
        }
        for (number, client) in publishers.enumerated() {
            let task = Task { [self] in await publish(client, number) }
            state.withLock { $0.publishing.append(task) }
        }
    }

    /// Ends the publishers' loops. Publishes that wait for an answer go on.
    func endPublishing() async {
        let tasks = state.withLock { state in
            state.isPublishing = false
            return state.publishing
        }
        for task in tasks { await task.value }
    }

    func shutDown() async {
        await endPublishing()
        await withTaskGroup(of: Void.self) { group in
            for client in publishers + subscribers { group.addTask { try? await client.shutdown() } }
        }
        for task in state.withLock({ $0.tasks }) { await task.value }
    }

    private func add(_ body: @escaping @Sendable () async -> Void) {
        let task = Task { await body() }
        state.withLock { $0.tasks.append(task) }
    }

    // MARK: Messages

    private func receive(_ client: MQTTClient, _ number: Int) async {
        do {
            try await client.subscribe(to: MQTTSubscription("cluster/#", qos: .atLeastOnce)) { messages in
                ready.wrappingAdd(1, ordering: .relaxed)
                for await message in messages { ledger.received(message, by: number) }
            }
        } catch {
            ledger.violate("subscriber \(number) could not subscribe: \(error)")
        }
    }

    /// Publishes by the clock, each message in a task of its own: an outage makes a queue.
    private func publish(_ client: MQTTClient, _ number: Int) async {
        let series = Series(publisher: number, topic: "cluster/\(number)", qos: .atLeastOnce)
        let start = ContinuousClock.now
        var sent = 0
        while state.withLock({ $0.isPublishing }) {
            let stamp = ledger.issue(series)
            state.withLock { $0.waiting += 1 }
            add { [self] in await publish(stamp, client) }
            sent += 1
            try? await Task.sleep(until: start + .seconds(1) * sent / run.rate)
        }
    }

    private func publish(_ stamp: Stamp, _ client: MQTTClient) async {
        let start = ContinuousClock.now
        do {
            try await client.publish(stamp.payload(padding: 32), to: MQTTTopic(stamp.series.topic), qos: .atLeastOnce)
            ledger.acknowledged(stamp)
            book.published(in: .now - start)
        } catch {
            ledger.violate("\(stamp.series), number \(stamp.number) could not be published: \(error)")
        }
        state.withLock { $0.waiting -= 1 }
    }
}

/// Writes the events of one client into the book.
private struct FaultWatch {
    private let book: FaultBook
    /// The time at which the connection ended; `nil` while there is one, and before the first one.
    private var gapStart: Date?
    private var wasConnected = false

    init(_ book: FaultBook) { self.book = book }

    func follow(_ events: MQTTConnectionEvents) async {
        var watch = self
        for await event in events { watch.record(event) }
    }

    private mutating func record(_ event: MQTTConnectionEvent) {
        switch event.kind {
        case .attemptStarted:
            book.attempted()
            // A rotation has no other sign of its beginning.
            beginGap(event)
        case .attemptFailed: book.failed()
        case .disconnected: beginGap(event)
        case .connected:
            if let start = gapStart { book.gap(.seconds(event.time.timeIntervalSince(start))) }
            (gapStart, wasConnected) = (nil, true)
        case .credentialsRotated: book.rotated()
        case .stopped(let error?): book.stopped("\(error)")
        default: break
        }
    }

    private mutating func beginGap(_ event: MQTTConnectionEvent) {
        if wasConnected, gapStart == nil { gapStart = event.time }
    }
}
