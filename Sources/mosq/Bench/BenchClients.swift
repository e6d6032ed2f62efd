// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import Synchronization

/// The clients of a benchmark: one configuration, and a name for each.
final class BenchClients: Sendable {
    let clients: [MQTTClient]
    private let meter: BenchMeter
    private let printsEvents: Bool
    private let runs = Mutex<[(client: MQTTClient, task: Task<Void, Never>)]>([])
    private let isShutDown = Atomic(false)

    init(_ options: ConnectionOptions, count: Int, meter: BenchMeter, maximumInFlight: Int? = nil) throws {
        var configuration = try options.configuration(.publish)
        if let maximumInFlight { configuration.publishing.maximumInFlight = min(maximumInFlight, 65_535) }
        let name = configuration.clientID ?? ""
        var logger = Logger(label: "mosq") { _ in SwiftLogNoOpLogHandler() }
        if options.debug {
            logger = Logger(label: "mosq") { StreamLogHandler.standardOutput(label: $0) }
            logger.logLevel = .debug
        }
        clients = (1...count).map { number in
            if count > 1 { configuration.clientID = "\(name)-\(number)" }
            return MQTTClient(configuration, logger: logger)
        }
        self.meter = meter
        printsEvents = options.retry.events
    }

    /// Connects one client. Counts a failure and returns `false`.
    func connect(_ client: MQTTClient) async -> Bool {
        let events = client.events()
        let watcher = Task { [meter, printsEvents] in
            for await event in events {
                if printsEvents { standardError(EventLine(event).json) }
                switch event.kind {
                case .attemptFailed(let failed): meter.fail(failed.error)
                case .disconnected(let lost): meter.fail(lost.error)
                default: break
                }
            }
        }
        let run = Task {
            // An event reports the error as well.
            try? await client.run()
            await watcher.value
        }
        runs.withLock { $0.append((client, run)) }
        if isShutDown.load(ordering: .sequentiallyConsistent) { try? await client.shutdown() }
        return (try? await client.waitUntilConnected()) != nil
    }

    /// Connects all clients, few enough at a time that no handshake exceeds its timeout. Throws if one fails.
    func connectAll() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for (index, client) in clients.enumerated() {
                if index >= Self.handshakes, try await group.next() == false { throw BenchFailure.notConnected }
                group.addTask { await self.connect(client) }
            }
            while let isConnected = try await group.next() {
                if !isConnected { throw BenchFailure.notConnected }
            }
        }
    }

    /// Maximum number of clients that connect at the same time.
    static let handshakes = 64

    /// Returns when the failures of the clients that stop are counted: their events may come later than the error of a
    /// call, which the state does not.
    func waitForFailures() async {
        for run in runs.withLock({ $0 }) {
            switch run.client.state {
            case .stopped, .disconnecting: await run.task.value
            default: break
            }
        }
    }

    /// Ends all clients, and returns when they have ended.
    func shutdown() async {
        isShutDown.store(true, ordering: .sequentiallyConsistent)
        await withTaskGroup { group in
            for client in clients { group.addTask { try? await client.shutdown() } }
        }
        for run in runs.withLock({ $0 }) { await run.task.value }
    }
}

/// The failure of a benchmark that cannot continue. The meter has the cause.
enum BenchFailure: Error { case notConnected }
