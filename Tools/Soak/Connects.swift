// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Glibc

/// Compresses a day of connections, one every 8.64 s, into a few minutes, and measures leaks.
struct Connects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "10,000 connections of four clients, with faults: memory, descriptors, threads and OpenSSL's errors."
    )

    @Option(help: "How many connections, all clients together.")
    var connections = 10_000

    @Option(help: "Decides what happens, and when.")
    var seed: UInt64 = 1

    /// Pools fill and caches warm up until this part of the connections has been made; then nothing may grow.
    private static let warmUp = 0.2
    private static let measurements = 10

    func validate() throws {
        if connections < 200 { throw ValidationError("Fewer than 200 connections show nothing.") }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let broker = try await DayBroker()
        let signals = EndingSignals { broker.mosquitto.kill() }
        defer { withExtendedLifetime(signals) {} }
        let lanes = try (0..<4).map { number in
            try DayLane(
                number, seed: seed, version: number < 2 ? .v1_3 : .v1_2, resumes: number % 2 == 0, broker: broker)
        }
        let footprints: [Footprint]
        do {
            footprints = try await measure(lanes, broker.mosquitto)
        } catch {
            // Exiting with open connections would free OpenSSL's tables while they are in use.
            for lane in lanes { await lane.shutDown() }
            throw error
        }
        let tally = await Self.sum(lanes)
        for lane in lanes { await lane.shutDown() }
        await broker.mosquitto.terminate()
        report(tally, took: .now - start)
        try check(footprints, tally)
    }

    private func measure(_ lanes: [DayLane], _ broker: LocalMosquitto) async throws -> [Footprint] {
        for lane in lanes { try await lane.start() }
        print("| connections | day | heap | resident | descriptors | threads, the library's | OpenSSL's error queue |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | --- |")
        var footprints: [Footprint] = []
        for round in 1...Self.measurements {
            let goal = connections * round / Self.measurements / lanes.count
            try await withThrowingTaskGroup { group in
                for lane in lanes { group.addTask { try await lane.run(until: goal) } }
                group.addTask { try await Self.restart(broker) }
                // The first failure ends the others.
                while try await group.next() != nil {}
            }
            await DispatchCaches.fill()
            let footprint = try await Footprint.settled()
            footprints.append(footprint)
            let tally = await Self.sum(lanes)
            print(row(tally.connections, footprint, hasErrors: !tally.leftBehind.isEmpty))
            fflush(nil)
        }
        return footprints
    }

    /// While connections are made: with a DISCONNECT and close_notify, or without a word.
    private static func restart(_ broker: LocalMosquitto) async throws {
        try await broker.restart()
        broker.kill()
        try await broker.restart()
    }

    private static func sum(_ lanes: [DayLane]) async -> DayTally {
        var sum = DayTally()
        for lane in lanes { sum = sum + (await lane.tally) }
        return sum
    }

    // MARK: The table

    private func row(_ connections: Int, _ footprint: Footprint, hasErrors: Bool) -> String {
        let minutes = Int(Double(connections) * 8.64 / 60)
        let columns = [
            "\(connections)", "\(minutes / 60) h \(minutes % 60) min", "\(footprint.heap / 1_024) KB",
            "\(footprint.residentKB) KB", "\(footprint.descriptors)",
            "\(footprint.threads), \(footprint.libraryThreads)",
            hasErrors ? "not empty" : "empty",
        ]
        return "| \(columns.joined(separator: " | ")) |"
    }

    private func report(_ tally: DayTally, took time: Duration) {
        print("\nIn \(time.components.seconds) s with seed \(seed): \(tally.attempts) attempts, ", terminator: "")
        print("\(tally.connections) connections of which \(tally.resumed) resumed a TLS session, ", terminator: "")
        print("\(tally.published) messages published and \(tally.received) received, ", terminator: "")
        print("client certificates written \(tally.certificates) times.")
        print("What happened: \(list(tally.happenings.map { ("\($0)", $1) })).")
        print("What the clients said: \(list(tally.failures.map { ($0, $1) })); ", terminator: "")
        print("\(tally.overtakenRotations) rotations were overtaken by it.")
    }

    private func list(_ counts: [(String, Int)]) -> String {
        counts.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
    }

    // MARK: The verdict

    private func check(_ footprints: [Footprint], _ tally: DayTally) throws {
        let first = footprints[Int(Double(Self.measurements) * Self.warmUp) - 1]
        guard let last = footprints.last else { return }
        let connections = Int(Double(connections) * (1 - Self.warmUp))
        var bounds = Bounds()
        // The smallest allocation takes 32 bytes: a leak of one for every second connection is too much.
        bounds.checkGrowth(from: first, to: last, heap: max(65_536, connections * 16), residentKB: 4_096)
        for (queue, count) in tally.leftBehind.sorted(by: { $0.key < $1.key }) {
            bounds.check(false, "\(count) times an error in OpenSSL's queue of \(queue)")
        }
        try bounds.enforce()
        let growth = last.heap - first.heap
        print("The heap grew by \(growth) bytes in the last \(connections) connections, ", terminator: "")
        print("\((Double(growth) / Double(connections) * 10).rounded() / 10) bytes for each.")
    }
}
#endif
