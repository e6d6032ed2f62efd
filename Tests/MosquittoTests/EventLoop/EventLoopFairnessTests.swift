// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite("What a loop does in a turn", .turn(.units))
struct EventLoopFairnessTests {
    /// Runs jobs on the loop.
    private actor Worker {
        private nonisolated let loop: MosquittoEventLoop
        private(set) var finished = 0

        init(_ loop: MosquittoEventLoop) { self.loop = loop }

        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

        func work(_ time: Duration) {
            let end = ContinuousClock.now + time
            while ContinuousClock.now < end {}
            finished += 1
        }

        func number() -> Int { finished }
    }

    private final class Neighbour: EventLoopClient {
        let worker: Worker
        let seen = Mutex<Int?>(nil)

        init(_ worker: Worker) { self.worker = worker }

        func socketReady(_ token: UInt64, _ events: PollEvents) {}
        func turnEnded() {}
        func mailboxReady() {
            let finished = worker.assumeIsolated { $0.finished }
            seen.withLock { $0 = finished }
        }
    }

    @Test func `a client does not wait for all jobs of the others`() async throws {
        let loop = MosquittoEventLoop()
        let worker = Worker(loop)
        let neighbour = Neighbour(worker)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask { await worker.work(.milliseconds(5)) }
                if number == 20 { loop.core.schedule(neighbour) }
            }
        }
        #expect(await eventually { neighbour.seen.withLock { $0 } != nil })
        // Waits for the jobs of several turns, not for the 200 ms of all jobs.
        #expect(try #require(neighbour.seen.withLock { $0 }) < 40)
        #expect(await worker.number() == 40)
    }

    @Test func `a group hands its loops out in turn`() {
        let group = MosquittoEventLoopGroup(threads: 3)
        let handedOut = (0..<6).map { _ in ObjectIdentifier(group.next()) }
        #expect(Set(handedOut).count == 3)
        #expect(handedOut[..<3] == handedOut[3...])
        #expect(group.eventLoops.map { ObjectIdentifier($0) } == Array(handedOut[..<3]))
    }

    @Test func `clients of a group's loops connect`() async throws {
        let broker = try await ScriptedBroker.start()
        let group = MosquittoEventLoopGroup(threads: 2)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<4 {
                tasks.addTask {
                    let configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
                    try await withMQTTClient(configuration, eventLoop: group.next()) { client in
                        try await client.publish("x", to: "a", qos: .atLeastOnce)
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }
}
