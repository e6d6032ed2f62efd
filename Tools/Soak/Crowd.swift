// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization

#if os(Linux)
/// Clients of one broker, each of which runs in a task of a group.
final class Crowd: Sendable {
    let clients: [MQTTClient]

    /// - Parameter loops: the event loops, assigned to the clients in turn.
    init(_ count: Int, on loops: [MosquittoEventLoop], _ configuration: (Int) -> MQTTClientConfiguration) {
        clients = (0..<count).map { number in
            MQTTClient(configuration(number), eventLoop: loops[number % loops.count], logger: .criticalOnly)
        }
    }

    /// Runs the clients, of which at most `atOnce` connect at a time. Ends when `body` does.
    static func run<R: Sendable>(
        _ body: @Sendable (_ start: @escaping @Sendable ([MQTTClient], Int) async throws -> Void) async throws -> R
    ) async throws -> R {
        let (toRun, feed) = AsyncStream.makeStream(of: MQTTClient.self)
        async let running: Void = withTaskGroup(of: Void.self) { group in
            for await client in toRun { group.addTask { try? await client.run() } }
        }
        let started = Mutex<[MQTTClient]>([])
        let result: Result<R, any Error>
        do {
            result = .success(
                try await body { clients, atOnce in
                    started.withLock { $0 += clients }
                    try await connect(clients, atOnce) { feed.yield($0) }
                })
        } catch {
            result = .failure(error)
        }
        feed.finish()
        await withTaskGroup(of: Void.self) { group in
            for client in started.withLock({ $0 }) { group.addTask { try? await client.shutdown() } }
        }
        await running
        return try result.get()
    }

    private static func connect(
        _ clients: [MQTTClient], _ atOnce: Int, _ run: @escaping @Sendable (MQTTClient) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, client) in clients.enumerated() {
                if number >= atOnce { try await group.next() }
                group.addTask {
                    run(client)
                    _ = try await client.waitUntilConnected(timeout: .seconds(120))
                }
            }
            try await group.waitForAll()
        }
    }
}

/// The broker's configuration for measurements: it logs no clients, and does not limit the queue of a session.
let quietBroker = """
    max_queued_messages 0
    set_tcp_nodelay true
    log_type none
    log_type information
    """
#endif
