// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Synchronization

/// State shared by the scenes of a lane.
package final class LaneRun: Sendable {
    package struct Count: Sendable, CustomStringConvertible {
        package var what: String
        package var number: Int

        package var description: String { "\(number) \(what)" }
    }

    let seed: UInt64
    let end: ContinuousClock.Instant
    /// Time of a slow machine, in addition to the time that is promised.
    let slack: Duration
    private let onBroker: @Sendable (LocalMosquitto) -> Void
    private let tally = Mutex<[Count]>([])

    init(seed: UInt64, duration: Duration, slack: Duration, onBroker: @escaping @Sendable (LocalMosquitto) -> Void) {
        self.seed = seed
        end = .now + duration
        self.slack = slack
        self.onBroker = onBroker
    }

    /// True if there is time for one more repetition.
    var hasTime: Bool { .now < end && !Task.isCancelled }

    /// In the order in which they were counted first.
    package var counts: [Count] { tally.withLock { $0 } }

    func count(_ what: String, _ number: Int = 1) {
        tally.withLock { counts in
            if let index = counts.firstIndex(where: { $0.what == what }) {
                counts[index].number += number
            } else {
                counts.append(Count(what: what, number: number))
            }
        }
    }

    func require(_ holds: Bool, _ promise: @autoclosure () -> String) throws {
        if !holds { throw PromiseFailure(promise()) }
    }

    /// Waits until a guarantee is fulfilled.
    func require(
        within limit: Duration, _ promise: @autoclosure () -> String, _ condition: () -> Bool
    ) async throws {
        if await eventually(timeout: limit, condition) { return }
        try Task.checkCancellation()
        throw PromiseFailure(promise() + ", within \(limit)")
    }

    // MARK: Brokers

    /// A mosquitto for as long as `body` runs, on a port with TLS and a plain one.
    func withBroker<R>(
        _ configuration: String = "", _ body: (LaneBroker) async throws -> R
    ) async throws -> R {
        let authority = try TestCertificateAuthority()
        let (broker, plainPort) = try await startPromiseBroker(authority, configuration)
        onBroker(broker)
        do {
            let ports = LaneBroker(tlsPort: broker.port, plainPort: plainPort, authority: authority.certificatePEM)
            let result = try await body(ports)
            await broker.terminate()
            return result
        } catch {
            await broker.terminate()
            throw error
        }
    }

    // MARK: Clients

    /// A client for as long as `body` runs. It must not stop by itself.
    func withClient<R>(
        _ configuration: MQTTClientConfiguration, _ body: (MQTTClient, ClientWatch) async throws -> R
    ) async throws -> R {
        var logger = Logger(label: "promises")
        logger.logLevel = .critical
        let client = MQTTClient(configuration, logger: logger)
        let watch = ClientWatch(client)
        do {
            try await client.start()
            let result = try await body(client, watch)
            try await client.shutdown()
            let name = configuration.clientID ?? "a client"
            try require(watch.failure == nil, "\(name) has stopped: \(watch.failure ?? "")")
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }
}

/// The address of a lane's broker.
struct LaneBroker: Sendable {
    var tlsPort: Int
    var plainPort: Int
    var authority: String

    func port(isTLS: Bool) -> Int { isTLS ? tlsPort : plainPort }

    /// A client of a port of this broker, or of a proxy to it.
    func configuration(
        _ name: String, port: Int, isTLS: Bool = false, version: MQTTVersion = .v5_0
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: port, tls: isTLS ? MQTTTLSConfiguration(trust: .pem(authority)) : nil)
        configuration.clientID = name
        configuration.version = version
        configuration.retry = .hasty(maximumDelay: .milliseconds(100), isLenient: false)
        return configuration
    }
}

/// Watches the events of a client.
final class ClientWatch: Sendable {
    private let state = Mutex((connections: 0, failure: String?.none))

    init(_ client: MQTTClient) {
        let events = client.events()
        Task {
            for await event in events {
                switch event.kind {
                case .connected: state.withLock { $0.connections += 1 }
                case .stopped(let error?): state.withLock { $0.failure = "\(error)" }
                default: break
                }
            }
        }
    }

    var connections: Int { state.withLock { $0.connections } }
    /// The error with which the client has stopped by itself.
    var failure: String? { state.withLock { $0.failure } }
}

/// Something that has happened.
final class Flag: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}
