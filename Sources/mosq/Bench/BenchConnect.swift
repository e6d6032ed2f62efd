// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq bench connect`: how fast connections are made.
struct BenchConnect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect clients, and measure how long it takes from name look-up to CONNACK.",
        discussion: """
            A connection is what the figures call a message. All stay open until the last one is made. Without --rate, \
            \(BenchClients.handshakes) clients connect at the same time.
            """)

    @Option(name: .long, parsing: .unconditional, help: "Connections a second. Default: as many as go.")
    var rate: Double?

    @OptionGroup(title: "Benchmark")
    var bench: BenchOptions

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try BenchOptions.check(rate: rate)
        let run = try BenchRun(connection, bench, goal: bench.clients, unit: "connections")
        try await run.run { [rate] clients, meter in
            meter.start()
            let pace = BenchPace(rate: rate)
            await withTaskGroup(of: Void.self) { group in
                for (number, client) in clients.clients.enumerated() {
                    if rate == nil, number >= BenchClients.handshakes { await group.next() }
                    guard !meter.isStopped, let begin = try? await pace.wait(for: number) else { break }
                    group.addTask {
                        guard await clients.connect(client) else { return }
                        meter.count(bytes: 0, latency: .now - begin)
                    }
                }
            }
        }
    }
}
