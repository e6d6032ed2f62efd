// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Promises
import ServiceLifecycle
import Testing
import Turns

/// A consumer under ServiceLifecycle, as in the documentation.
private struct Ingest: Service {
    struct Failure: Error {}

    let client: MQTTClient
    let store: Tally
    /// Returns true if the body must fail at the message with this number.
    var fails: @Sendable (Int) -> Bool = { _ in false }

    func run() async throws {
        try await client.subscribe(to: "ingest/#") { messages in
            for await message in messages {
                guard let number = Int(message.payloadString) else { continue }
                if fails(number) { throw Failure() }
                store.add(number)
            }
        }
    }
}

@Suite("A persistent consumer of a real mosquitto loses nothing", .turn(.brokers), .timeLimit(.minutes(2)))
struct ServiceRestartTests {
    private func run(
        _ configuration: MQTTClientConfiguration, _ store: Tally, clientFirst: Bool,
        fails: @escaping @Sendable (Int) -> Bool = { _ in false }, body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let client = MQTTClient(configuration, logger: quiet)
        let ingest = Ingest(client: client, store: store, fails: fails)
        let group = ServiceGroup(services: clientFirst ? [client, ingest] : [ingest, client], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test(arguments: [true, false], [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `at graceful restarts, in either order of the group (D1)`(
        clientFirst: Bool, acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await Broker.start()
        var configuration = broker.configuration()
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        let (fixed, store) = (configuration, Tally())
        try await withMQTTClient(broker.configuration(), logger: quiet) { publisher in
            try await run(fixed, store, clientFirst: clientFirst) {
                // Nothing arrives before the subscription exists.
                while store.distinct == 0 { try await publisher.publish("0", to: "ingest/a") }
            }
            let publishing = Task {
                for number in 1..<500 {
                    try await publisher.publish("\(number)", to: "ingest/a")
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
            for step in 1...3 {
                try await run(fixed, store, clientFirst: clientFirst) {
                    #expect(await eventually { store.distinct >= 100 * step })
                }
                try await Task.sleep(for: .milliseconds(100))
            }
            try await run(fixed, store, clientFirst: clientFirst) {
                try await publishing.value
                #expect(await eventually { store.distinct == 500 })
            }
            #expect(store.missing(of: 0..<500) == [])
        }
    }

    @Test func `when its body throws (D1)`() async throws {
        let broker = try await Broker.start()
        var configuration = broker.configuration()
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        let (fixed, store, failed) = (configuration, Tally(), Tally())
        try await withMQTTClient(broker.configuration(), logger: quiet) { publisher in
            try await run(fixed, store, clientFirst: true) {
                while store.distinct == 0 { try await publisher.publish("0", to: "ingest/a") }
            }
            let publishing = Task {
                for number in 1..<300 { try await publisher.publish("\(number)", to: "ingest/a") }
            }
            while store.distinct < 300 {
                let known = failed.distinct
                do {
                    try await run(fixed, store, clientFirst: true) { number in
                        guard number % 50 == 49, failed.missing(of: number..<number + 1) != [] else { return false }
                        failed.add(number)
                        return true
                    } body: {
                        #expect(await eventually { store.distinct == 300 || failed.distinct > known })
                    }
                } catch is Ingest.Failure {}
            }
            try await publishing.value
            #expect(failed.distinct == 6)
        }
    }

    @Test func `when each connection lasts a second, and handling a message takes 20 ms (core 5)`() async throws {
        let broker = try await Broker.start()
        let proxies = try RandomCuts(before: [broker.mosquitto.port], seed: 1)
        defer { proxies.stop() }
        var configuration = broker.configuration()
        configuration.endpoints[0].port = proxies.ports[0]
        configuration.session = .persistent
        configuration.acknowledgement = .afterHandling
        configuration.receiving.receiveMaximum = 2
        let (fixed, store) = (configuration, Tally())
        try await withMQTTClient(broker.configuration(), logger: quiet) { publisher in
            try await withMQTTClient(fixed, logger: quiet) { client in
                let cutter = Task {
                    while true {
                        try await Task.sleep(for: .seconds(1))
                        proxies.begin()
                        defer { proxies.pause() }
                        try await Task.sleep(for: .milliseconds(50))
                    }
                }
                defer { cutter.cancel() }
                try await client.subscribe(to: "a") { messages in
                    for number in 0..<200 { try await publisher.publish("\(number)", to: "a") }
                    for await message in messages {
                        if message.payloadString == "last" { break }
                        store.add(Int(message.payloadString) ?? -1)
                        try await Task.sleep(for: .milliseconds(20))
                        guard store.distinct == 200, !cutter.isCancelled else { continue }
                        cutter.cancel()
                        _ = await cutter.result
                        proxies.finish()
                        try await publisher.publish("last", to: "a")
                    }
                }
            }
            #expect(store.missing(of: 0..<200) == [])
            // A connection loses no more acknowledgements than the broker waits for, however slow the broker is.
            #expect(store.duplicates.count <= 2 * proxies.connections)
            // The broker repeated messages whose PUBACK was lost with a connection. They were acknowledged before "last".
            try await withMQTTClient(fixed, logger: quiet) { client in
                try await client.subscribe(to: "a") { messages in
                    try await publisher.publish("end", to: "a")
                    var again: [String] = []
                    for await message in messages {
                        if message.payloadString == "end" { break }
                        again.append(message.payloadString)
                    }
                    #expect(again == [])
                }
            }
        }
    }
}
