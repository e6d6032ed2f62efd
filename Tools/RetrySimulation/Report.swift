// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The results of all policies in the same scenario, ours first.
struct Report: Sendable {
    var scenario: Scenario
    var ours: ContestantResult
    var peers: [ContestantResult]

    init(_ scenario: Scenario) {
        self.scenario = scenario
        func run(_ contestant: Contestant) -> ContestantResult {
            ContestantResult(name: contestant.name, outcome: contestant.simulate(scenario))
        }
        ours = run(.ours)
        peers = Contestant.peers.map(run)
    }

    var results: [ContestantResult] { [ours] + peers }

    /// The median of the peers' times to full recovery.
    var medianPeerRecovery: Duration {
        let sorted = peers.map(\.outcome.fullRecovery).sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    var lowestPeerPeak: Int { peers.map(\.outcome.peak).min() ?? 0 }

    /// A Markdown table and a summary.
    var table: String {
        var lines = [
            "| policy | peak after the outage, CONNECTs a second | last client back | p99 | median |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for result in results {
            let outcome = result.outcome
            let times = [outcome.fullRecovery, outcome.recovery(of: 0.99), outcome.recovery(of: 0.5)].map(\.text)
            lines.append("| \(result.name) | \(grouped(outcome.peak)) | \(times.joined(separator: " | ")) |")
        }
        let peak = "peak \(grouped(ours.outcome.peak)), the lowest of a peer \(grouped(lowestPeerPeak))"
        let recovery =
            "last client back after \(ours.outcome.fullRecovery.text), median peer \(medianPeerRecovery.text)"
        return lines.joined(separator: "\n") + "\n\n\(ours.name): \(peak); \(recovery).\n"
    }

    /// Number of clients that have not returned: 0, unless a policy gives up.
    var lost: Int { results.map { scenario.clients - $0.outcome.recoveries.count }.reduce(0, +) }

    /// The name of the broker in the table and the CSV.
    var brokerName: String { scenario.capacity.map { "\($0)/s" } ?? "unlimited" }
}

/// CONNECTs in each second since the loss, a column for each policy.
func arrivalsAsCSV(_ reports: [Report]) -> String {
    guard let first = reports.first else { return "" }
    // Names may have a comma, none has a quote.
    let header = ["broker", "second"] + first.results.map { $0.name.contains(",") ? "\"\($0.name)\"" : $0.name }
    var lines = [header.joined(separator: ",")]
    for report in reports {
        for second in 0..<(report.results.map(\.outcome.arrivals.count).max() ?? 0) {
            let counts = report.results.map(\.outcome.arrivals).map { second < $0.count ? $0[second] : 0 }
            lines.append(([report.brokerName, String(second)] + counts.map(String.init)).joined(separator: ","))
        }
    }
    return lines.joined(separator: "\n") + "\n"
}

/// Replaces the file in one step.
func write(_ text: String, to file: String, in directory: String) throws {
    let url = URL(filePath: directory, directoryHint: .isDirectory).appending(path: file)
    try Data(text.utf8).write(to: url, options: .atomic)
}

/// 1234567 as "1,234,567".
func grouped(_ number: Int) -> String {
    var digits = String(number)
    var groups: [String] = []
    while digits.count > 3 {
        groups.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
    }
    return ([digits] + groups).joined(separator: ",")
}

extension Duration {
    /// "12.3 s".
    var text: String {
        let tenths = Int((inSeconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
