// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Glibc

/// Restarts a service with a persistent session under load, and checks that every message is stored, however the
/// service ended.
struct Restarts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A service that stores messages, restarted under load by SIGTERM, by an error and by SIGKILL.")

    @Option(help: "How many messages each lane publishes.")
    var messages = 15_000

    @Option(help: "Messages a second.")
    var rate = 500

    @Option(help: "How often the service is restarted.")
    var restarts = 3

    /// The way in which the service ends.
    private enum Lane: String, CaseIterable {
        case sigtermClientFirst, sigtermServiceFirst, bodyThrows, sigkill

        var arguments: [String] {
            switch self {
            case .sigtermClientFirst, .sigkill: []
            case .sigtermServiceFirst: ["--service-first"]
            case .bodyThrows: ["--throw-after", "1000"]
            }
        }
    }

    func run() async throws {
        var isKept = true
        print("| lane | published | stored | lost | more than once | exits |")
        print("| --- | --- | --- | --- | --- | --- |")
        for lane in Lane.allCases {
            let row = try await run(lane)
            print(row.text)
            isKept = isKept && row.isKept
        }
        let time = try await exitWithoutBroker()
        print("SIGTERM without a broker: exit after \(milliseconds(time)) with status 0")
        if !isKept { throw SoakFailure("messages were lost") }
    }

    private struct Row {
        let text: String
        let isKept: Bool
    }

    private func run(_ lane: Lane) async throws -> Row {
        let folder = try TemporaryDirectory()
        let store = try folder.write("", to: "store")
        let broker = try await LocalMosquitto.start(extraConfiguration: quietBroker)
        let signals = EndingSignals { broker.kill() }
        defer { withExtendedLifetime(signals) {} }
        var service = try start(lane, broker.port, store)
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
        configuration.clientID = "producer"
        var exits: [Int32] = []
        try await withMQTTClient(configuration, logger: .criticalOnly) { [service] _ in
            guard service.isRunning else { throw SoakFailure("the service did not start") }
        }
        // The session exists from here on.
        try await Task.sleep(for: .seconds(2))
        let producer = Task { [messages, rate] in
            try await withMQTTClient(configuration, logger: .criticalOnly) { client in
                let start = ContinuousClock.now
                for number in 0..<messages {
                    try await Task.sleep(until: start + .seconds(1) * number / rate)
                    try client.enqueue("\(number)", to: "ingest")
                }
            }
        }
        let pause = Duration.seconds(messages / rate) / (restarts + 1)
        for _ in 0..<restarts {
            try await Task.sleep(for: pause - .seconds(2))
            exits.append(try await end(service, lane))
            try await Task.sleep(for: .seconds(2))
            service = try start(lane, broker.port, store)
        }
        try await producer.value
        // A body that throws ends its process, which is restarted until all messages are stored.
        let deadline = ContinuousClock.now + .seconds(60)
        while try stored(store).distinct < messages, ContinuousClock.now < deadline {
            if !service.isRunning { service = try start(lane, broker.port, store) }
            try await Task.sleep(for: .milliseconds(200))
        }
        exits.append(try await end(service, .sigtermClientFirst))
        await broker.terminate()
        let (count, distinct) = try stored(store)
        let text =
            "| \(lane.rawValue) | \(messages) | \(distinct) | \(messages - distinct) | \(count - distinct) | "
            + exits.map(String.init).joined(separator: " ") + " |"
        let isClean = lane.rawValue.hasPrefix("sigterm") ? exits.allSatisfy { $0 == 0 } : true
        return Row(text: text, isKept: distinct == messages && isClean)
    }

    private func start(_ lane: Lane, _ port: Int, _ store: String) throws -> ChildProcess {
        try ChildProcess(
            executable: CommandLine.arguments[0],
            arguments: ["ingest-service", "--port", "\(port)", "--store", store] + lane.arguments,
            .init(output: "/dev/null"))
    }

    /// Returns the exit status, or the signal that has ended the service.
    private func end(_ service: ChildProcess, _ lane: Lane) async throws -> Int32 {
        if lane != .bodyThrows { service.send(lane == .sigkill ? SIGKILL : SIGTERM) }
        let hasEnded = await eventually(timeout: .seconds(10)) { !service.isRunning }
        if !hasEnded, lane != .bodyThrows {
            throw SoakFailure("the service did not end within 10 s of its signal")
        }
        return switch service.kill() {
        case .status(let status): status
        case .signal(let signal): signal
        }
    }

    private func stored(_ path: String) throws -> (count: Int, distinct: Int) {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        return (lines.count, Set(lines).count)
    }

    private func exitWithoutBroker() async throws -> Duration {
        let folder = try TemporaryDirectory()
        let store = try folder.write("", to: "store")
        let service = try start(.sigtermClientFirst, try freePort(), store)
        try await Task.sleep(for: .seconds(1))
        let start = ContinuousClock.now
        let status = try await end(service, .sigtermClientFirst)
        let time = ContinuousClock.now - start
        if status != 0 || time > .seconds(2) { throw SoakFailure("status \(status) after \(time)") }
        return time
    }
}
#endif
