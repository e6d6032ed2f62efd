// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import ServiceLifecycle
import Synchronization
import Testing
import Turns

/// A consumer under ServiceLifecycle, as in the documentation: it stores each message.
struct Ingest: Service {
    struct Failure: Error {}

    final class Store: Sendable {
        private let texts = Mutex<[String]>([])
        func add(_ text: String) { texts.withLock { $0.append(text) } }
        /// Returns whether the message was new.
        func addOnce(_ text: String) -> Bool {
            texts.withLock { texts in
                if texts.contains(text) { return false }
                texts.append(text)
                return true
            }
        }
        var all: [String] { texts.withLock { $0 } }
        var distinct: Set<String> { Set(all) }
    }

    let client: MQTTClient
    let store: Store
    /// The body fails at each message for which this is true, once.
    var fails: @Sendable (String) -> Bool = { _ in false }

    func run() async throws {
        try await client.subscribe(to: "ingest/#") { messages in
            for await message in messages {
                if fails(message.payloadString) { throw Failure() }
                store.add(message.payloadString)
            }
        }
    }
}

extension Ingest {
    /// Runs the service and its client in a group, in this order, until `body` is done; then the group is shut down as by SIGTERM.
    static func run(
        _ configuration: MQTTClientConfiguration, _ store: Store, clientFirst: Bool,
        fails: @escaping @Sendable (String) -> Bool = { _ in false }, body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let client = MQTTClient(configuration, logger: quiet)
        let ingest = Ingest(client: client, store: store, fails: fails)
        let services: [any Service] = clientFirst ? [client, ingest] : [ingest, client]
        let group = ServiceGroup(services: services, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}

@Suite("A service that consumes loses nothing at a graceful restart (D1)", .turn(.scripted), .timeLimit(.minutes(2)))
struct GracefulServiceTests {
    private func configuration(_ port: Int, _ acknowledgement: MQTTAcknowledgement) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port, tls: nil)
        configuration.clientID = "ingest"
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        return configuration
    }

    @Test(arguments: [true, false], [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `in either order of the group, all messages of four runs and the time between are stored`(
        clientFirst: Bool, acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker.port, acknowledgement)
        let store = Ingest.Store()
        let publisher = Task {
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            for number in 0..<500 {
                broker.publish(topic: "ingest/a", payload: "\(number)", qos: 1)
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        for run in 0..<3 {
            try await Ingest.run(configuration, store, clientFirst: clientFirst) {
                // In the middle of the stream.
                #expect(await eventually { store.distinct.count >= 100 * (run + 1) })
            }
            try await Task.sleep(for: .milliseconds(30))
        }
        try await Ingest.run(configuration, store, clientFirst: clientFirst) {
            try await publisher.value
            #expect(await eventually { store.distinct.count == 500 })
        }
        #expect(store.distinct.count == 500, "\(Set((0..<500).map(String.init)).subtracting(store.distinct))")
        if acknowledgement == .onReceipt, clientFirst { #expect(store.all.count == 500, "none comes twice") }
        #expect(broker.count(of: .unsubscribe) == 0)
        await broker.stop()
    }

    @Test(arguments: [true, false])
    func `and when its body throws, what it had not handled comes again`(clientFirst: Bool) async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = configuration(broker.port, .afterHandling)
        let store = Ingest.Store()
        let failed = Ingest.Store()
        let publisher = Task {
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            for number in 0..<300 {
                broker.publish(topic: "ingest/a", payload: "\(number)", qos: 1)
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        while store.distinct.count < 300 {
            let known = failed.all.count
            do {
                try await Ingest.run(configuration, store, clientFirst: clientFirst) { text in
                    (Int(text) ?? 0) % 50 == 49 && failed.addOnce(text)
                } body: {
                    #expect(await eventually { store.distinct.count == 300 || failed.all.count > known })
                }
            } catch is Ingest.Failure {}
        }
        try await publisher.value
        #expect(failed.all.count == 6)
        await broker.stop()
    }

    @Test(arguments: [true, false])
    func `a group that waits for its first connection ends without an error (D2)`(clientFirst: Bool) async throws {
        let configuration = configuration(try freePort(), .afterHandling)
        let start = ContinuousClock.now
        try await Ingest.run(configuration, Ingest.Store(), clientFirst: clientFirst) {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test(arguments: [true, false])
    func `and one that waits for its SUBACK (D2)`(clientFirst: Bool) async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.subscribe, count: 9, reasonCode: 0x80)])
        let configuration = configuration(broker.port, .afterHandling)
        try await Ingest.run(configuration, Ingest.Store(), clientFirst: clientFirst) {
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
        }
        #expect(broker.count(of: .unsubscribe) == 0)
        await broker.stop()
    }

    @Test func `a cancelled subscribe throws (D2)`() async throws {
        let configuration = configuration(try freePort(), .onReceipt)
        try await withRunningClient(configuration) { client, _ in
            let waiting = Task { try await client.subscribe(to: "a") { _ in } }
            try await Task.sleep(for: .milliseconds(20))
            waiting.cancel()
            let result = await waiting.result
            let error = #expect(throws: MQTTError.self) { try result.get() }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func `a graceful shutdown ends the sequence after what is buffered`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = configuration(broker.port, .onReceipt)
        configuration.session = .clean
        struct Slow: Service {
            let client: MQTTClient
            let store: Ingest.Store
            func run() async throws {
                try await client.subscribe(to: "a") { messages in
                    for await message in messages {
                        if message.payloadString == "0" { try await gracefulShutdown() }
                        store.add(message.payloadString)
                    }
                }
            }
        }
        let store = Ingest.Store()
        let client = MQTTClient(configuration, logger: quiet)
        let group = ServiceGroup(services: [client, Slow(client: client, store: store)], logger: quiet)
        async let run: Void = group.run()
        #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
        for number in 0..<10 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        #expect(await broker.waitUntil { $0.count(of: .puback) == 10 })
        await group.triggerGracefulShutdown()
        try await run
        #expect(store.all == (0..<10).map(String.init))
        #expect(await broker.waitUntil { $0.count(of: .unsubscribe) == 1 }, "a clean session")
        await broker.stop()
    }
}
