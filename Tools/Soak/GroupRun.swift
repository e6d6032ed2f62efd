// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Glibc

/// A consumer group of processes, one member each, of which one is killed at intervals while messages are published.
///
/// A member writes the number of each message to its file before it asks for the next one: a file keeps what a killed
/// process has written, so that the files show which messages were handled.
struct GroupRun: Sendable {
    /// The outcome.
    struct Tally: Sendable {
        var published = 0
        /// Number of messages of each member, including repetitions.
        var shares: [Int] = []
        var distinct = 0
        var kills = 0
        /// Number of messages that the members had not handled a second after the last publish.
        var backlog = 0
        /// The exit statuses of the members at the end, by SIGTERM.
        var exits: [Int32] = []
        var publishing = Duration.zero

        var lost: Int { published - distinct }
        var duplicates: Int { shares.reduce(0, +) - distinct }
    }

    var members = 4
    /// Messages a second, all together.
    var rate = 20_000
    var duration = Duration.seconds(60)
    var killEvery = Duration.seconds(10)
    /// The time between the end of a process and its successor.
    var down = Duration.seconds(1)
    var seed: UInt64 = 1
    /// The program that is a member with the command `group-member`.
    var executable: String

    private static let topic = "jobs"

    /// - Parameter onBroker: called once the broker runs.
    func run(onBroker: (LocalMosquitto) -> Void = { _ in }) async throws -> Tally {
        let folder = try TemporaryDirectory()
        let broker = try await LocalMosquitto.start(extraConfiguration: quietBroker)
        onBroker(broker)
        var processes: [ChildProcess] = []
        for number in 0..<members { processes.append(try start(number, broker.port, folder)) }
        let hasJoined = await eventually(timeout: .seconds(30)) {
            (0..<members).allSatisfy { access(joined(folder, $0), F_OK) == 0 }
        }
        if !hasJoined { throw SoakFailure("the members did not join within 30 s") }

        var tally = Tally()
        let publishing = Task { [self] in try await publish(broker.port) }
        let start = ContinuousClock.now
        var generator = JitterGenerator(seed: seed)
        // By the clock, in number too: on a slow machine, a late one is made up for.
        for number in 1..<max(1, Int((duration / killEvery).rounded(.up))) {
            try await Task.sleep(until: start + killEvery * number - down)
            let victim = Int.random(in: 0..<members, using: &generator)
            processes[victim].kill()
            tally.kills += 1
            try await Task.sleep(for: down)
            processes[victim] = try self.start(victim, broker.port, folder)
        }
        (tally.published, tally.publishing) = try await publishing.value
        try await finish(&tally, folder)
        for process in processes { process.send(SIGTERM) }
        for process in processes {
            guard case .status(let status) = await process.exit(deadline: .seconds(60)) else {
                throw SoakFailure("a member did not end within 60 s of SIGTERM")
            }
            tally.exits.append(status)
        }
        await broker.terminate()
        return tally
    }

    /// Waits until all messages are handled, or none was for thirty seconds.
    private func finish(_ tally: inout Tally, _ folder: TemporaryDirectory) async throws {
        try await Task.sleep(for: .seconds(1))
        var (shares, distinct) = try count(folder, published: tally.published)
        tally.backlog = tally.published - distinct
        var progress = ContinuousClock.now
        while distinct < tally.published, ContinuousClock.now - progress < .seconds(30) {
            try await Task.sleep(for: .milliseconds(200))
            let (_, now) = try count(folder, published: tally.published)
            if now > distinct { progress = .now }
            distinct = now
        }
        // Repetitions may follow.
        try await Task.sleep(for: .milliseconds(500))
        (shares, distinct) = try count(folder, published: tally.published)
        (tally.shares, tally.distinct) = (shares, distinct)
    }

    private func start(_ number: Int, _ port: Int, _ folder: TemporaryDirectory) throws -> ChildProcess {
        try ChildProcess(
            executable: executable,
            arguments: [
                "group-member", "--port", "\(port)", "--number", "\(number)", "--store", store(folder, number),
                "--joined", joined(folder, number),
            ], .init(output: folder.path + "/log"))
    }

    private func store(_ folder: TemporaryDirectory, _ number: Int) -> String { "\(folder.path)/store-\(number)" }
    private func joined(_ folder: TemporaryDirectory, _ number: Int) -> String { "\(folder.path)/joined-\(number)" }

    /// Publishes at the rate, and returns the number of messages that the broker has acknowledged.
    private func publish(_ port: Int) async throws -> (Int, Duration) {
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: port, tls: nil)
        configuration.clientID = "producer"
        configuration.publishing.maximumInFlight = 1_000
        configuration.publishing.queue.maximumMessages = 10_000_000
        configuration.publishing.queue.maximumBytes = 4 << 30
        return try await withMQTTClient(configuration, logger: .criticalOnly) { [rate, duration] client in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let start = ContinuousClock.now
            let total = Int(Double(rate) * (duration / .seconds(1)))
            var number = 0
            while number < total {
                let due = min(total, Int(Double(rate) * ((ContinuousClock.now - start) / .seconds(1))))
                while number < due {
                    try client.enqueue("\(number)", to: Self.topic, qos: .atLeastOnce)
                    number += 1
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            // The last acknowledgement: the others are before it.
            try await client.publish("\(number)", to: Self.topic, qos: .atLeastOnce)
            return (number + 1, .now - start)
        }
    }

    private func count(_ folder: TemporaryDirectory, published: Int) throws -> (shares: [Int], distinct: Int) {
        var seen = [Bool](repeating: false, count: published)
        var distinct = 0
        let shares = try (0..<members).map { number in
            let data = try Data(contentsOf: URL(fileURLWithPath: store(folder, number)))
            let count = data.count / 8
            data.withUnsafeBytes { bytes in
                for index in 0..<count {
                    let value = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
                    guard value < UInt64(published), !seen[Int(value)] else { continue }
                    seen[Int(value)] = true
                    distinct += 1
                }
            }
            return count
        }
        return (shares, distinct)
    }
}
#endif
