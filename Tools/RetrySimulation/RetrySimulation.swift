// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Simulates the load of 100,000 reconnecting clients on a broker, under this library's policy and those of others.
@main
struct RetrySimulation: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "RetrySimulation",
        abstract: "Simulates clients that lose the same broker at once, and writes a table, a CSV and a plot.")

    @Option(help: "How many clients there are.")
    var clients = 100_000

    @Option(help: "For how many seconds the broker is away.")
    var outage = 60

    @Option(help: "How many CONNECTs a second the finite broker accepts.")
    var capacity = 5_000

    @Option(help: "The seed of all jitter.")
    var seed: UInt64 = 1

    @Option(help: "The directory for retry-simulation.csv and retry-simulation.svg. Nothing is written without it.")
    var output: String?

    func validate() throws {
        for (name, value) in [("clients", clients), ("outage", outage), ("capacity", capacity)] where value < 1 {
            throw ValidationError("--\(name) must be at least 1.")
        }
    }

    func run() throws {
        var scenario = Scenario(clients: clients, outage: .seconds(outage), capacity: capacity, seed: seed)
        let finite = Report(scenario)
        print("A broker that accepts \(grouped(capacity)) CONNECTs a second:\n\n\(finite.table)")
        scenario.capacity = nil
        let unlimited = Report(scenario)
        print("A broker that accepts all:\n\n\(unlimited.table)")
        let lost = finite.lost + unlimited.lost
        guard lost == 0 else { throw ValidationError("\(lost) clients have not come back.") }

        guard let output else { return }
        try write(arrivalsAsCSV([finite, unlimited]), to: "retry-simulation.csv", in: output)
        try write(Plot(report: finite).svg, to: "retry-simulation.svg", in: output)
    }
}
