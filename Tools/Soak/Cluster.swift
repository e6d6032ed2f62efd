// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Mosquitto
import MosquittoTesting
import Promises
import Synchronization

#if os(Linux)
import Glibc

/// Publishers and subscribers of a cluster whose nodes are killed, stopped and drained, while tokens are rotated.
struct Cluster: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A cluster of RabbitMQ or NATS whose nodes fail under load: lost messages, gaps, attempts.")

    @Option(help: "rabbitmq or nats.")
    var broker = "nats"

    @Option(help: "How long nodes fail.")
    var minutes = 10.0

    @Option(help: "Messages a second of each of the four publishers.")
    var rate = 20

    @Option(help: "Chooses the nodes.")
    var seed = UInt64.random(in: 0..<1_000_000)

    @Option(help: "The clients: mosquitto-swift, or mqttjs for the peer.")
    var clients = "mosquitto-swift"

    private var kind: BrokerCluster.Kind? { BrokerCluster.Kind(rawValue: broker) }

    func validate() throws {
        if kind == nil { throw ValidationError("--broker is rabbitmq or nats.") }
        if minutes <= 0 || rate < 1 { throw ValidationError("--minutes and --rate have to be more than 0.") }
        if !["mosquitto-swift", "mqttjs"].contains(clients) {
            throw ValidationError("--clients is mosquitto-swift or mqttjs.")
        }
    }

    func run() async throws {
        guard let kind else { return }
        guard kind.isInstalled else { throw SoakFailure("\(broker) is not installed: scripts/setup --brokers") }
        print("\(clients) with three nodes of \(broker), seed \(seed), load average \(loadAverage())")
        fflush(nil)
        let starting = Mutex<BrokerCluster?>(nil)
        let signals = EndingSignals { starting.withLock { $0 }?.stop() }
        defer { withExtendedLifetime(signals) {} }
        let start = ContinuousClock.now
        let cluster = try await BrokerCluster.start(kind) { cluster in starting.withLock { $0 = cluster } }
        defer { cluster.stop() }
        print("three nodes accept clients after \((ContinuousClock.now - start).components.seconds) s")
        fflush(nil)
        if clients == "mqttjs" {
            try await ClusterPeer(cluster: cluster, faults: ClusterFaults(seed: seed), rate: rate).run(for: duration)
            print("load average \(loadAverage())")
            return
        }
        var run = ClusterRun(faults: ClusterFaults(seed: seed))
        run.rate = rate
        let begin = ContinuousClock.now
        let report = try await run.run(on: cluster, for: duration) { fault, node, progress in
            let second = (ContinuousClock.now - begin).components.seconds
            print(
                "\(second) s: node \(node) is \(fault); \(progress.acknowledged) acknowledged, \(progress.waiting) wait, "
                    + "\(progress.outstanding) have not come yet")
            fflush(nil)
        }
        print("\nload average \(loadAverage())\n")
        printTable(report)
        try check(report)
    }

    private var duration: Duration { .seconds(minutes * 60) }

    private func loadAverage() -> String {
        var loads = [0.0, 0.0, 0.0]
        let count = getloadavg(&loads, 3)
        return loads.prefix(max(0, Int(count))).map { rounded($0) }.joined(separator: ", ")
    }

    private func printTable(_ report: ClusterRun.Report) {
        print("| fault of a node | times | longest gap | mean gap | attempts, failed, for each | longest publish |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for fault in [nil] + ClusterFault.allCases.map(Optional.some) {
            guard let figures = report.figures[fault] else { continue }
            let times = max(figures.times, 1)
            // Each rotation is an attempt too.
            let attempts = figures.attempts - figures.rotations
            let mean = figures.gapCount > 0 ? figures.gaps / figures.gapCount : .zero
            let columns = [
                fault?.description ?? "none yet", "\(figures.times)", seconds(figures.longestGap), seconds(mean),
                "\(attempts), \(figures.failedAttempts), \(rounded(Double(attempts) / Double(times)))",
                seconds(figures.longestPublish),
            ]
            print("| \(columns.joined(separator: " | ")) |")
        }
        print("")
    }

    private func seconds(_ time: Duration) -> String { "\(rounded(time / .seconds(1), 2)) s" }

    private func check(_ report: ClusterRun.Report) throws {
        let rotations = report.figures.values.reduce(0) { $0 + $1.rotations }
        print(
            "published \(report.published), acknowledged \(report.acknowledged), received \(report.received), "
                + "\(report.duplicates) of them more than once, \(rotations) rotations")
        var bounds = Bounds()
        bounds.check(report.lost == 0, "\(report.lost) messages were lost\(report.violation.map { ": \($0)" } ?? "")")
        bounds.check(report.stopped.isEmpty, "\(report.stopped.count) clients stopped \(report.stopped.prefix(2))")
        bounds.check(report.violation == nil, "each message was published by one of the clients and acknowledged")
        bounds.check(rotations > 0, "\(rotations) rotations; more than none")
        try bounds.enforce()
    }
}
#endif
