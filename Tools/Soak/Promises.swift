// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Promises

#if os(Linux)
import Glibc

/// Cuts connections at random bytes, and checks the guarantees of MQTT.
struct PromisesSoak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promises",
        abstract: "Random publishes and subscriptions under cuts at random bytes: QoS 1 and 2, order, leaks.")

    @Option(help: "How long connections are cut, all rounds together.")
    var minutes = 10.0

    @Option(help: "Decides where connections are cut, and what is published.")
    var seed = UInt64.random(in: 0..<1_000_000)

    @Option(help: "5.0 or 3.1.1; by default some clients have the one and some the other.")
    var version: String?

    @Option(
        help: """
            Which part: "cuts", the name of a lane, or by default all. Each lane takes a tenth of --minutes and what it needs to end.
            """)
    var lane: String?

    @Flag(help: "Connect by WebSockets, over TLS and plain TCP. The lanes stay without.")
    var webSockets = false

    @Flag(inversion: .prefixedNo, help: "Whether connections are cut: without, what is found is not the client's.")
    var cuts = true

    /// Pools fill and caches warm up until this many rounds are over; then nothing may grow.
    private static let warmUp = 2
    private static let rounds = 10

    private var mqttVersion: MQTTVersion? {
        switch version {
        case "5.0", "5": .v5_0
        case "3.1.1": .v3_1_1
        default: nil
        }
    }

    func validate() throws {
        if minutes <= 0 { throw ValidationError("--minutes has to be more than 0.") }
        if let lane, lane != "cuts", !PromiseLane.all.contains(where: { $0.name == lane }) {
            throw ValidationError("--lane is cuts, \(PromiseLane.all.map(\.name).joined(separator: ", ")).")
        }
        if version != nil, mqttVersion == nil { throw ValidationError("--version is 5.0 or 3.1.1.") }
    }

    func run() async throws {
        print("seed \(seed)\n")
        fflush(nil)
        if lane == nil || lane == "cuts" { try await runCuts() }
        try await runLanes(PromiseLane.all.filter { lane == nil || lane == $0.name })
    }

    private func runCuts() async throws {
        let start = ContinuousClock.now
        print("| round | cuts to the broker, to a client | connections | published QoS 0, 1, 2 | ", terminator: "")
        print("received | duplicates | heap | resident | descriptors | threads, the library's |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        fflush(nil)
        var run = PromiseRun(
            seed: seed, version: mqttVersion, rounds: Self.rounds, cutting: .seconds(minutes * 60 / Double(Self.rounds))
        )
        run.cuts = cuts
        run.webSockets = webSockets
        var footprints: [Footprint] = []
        var signals: EndingSignals?
        defer { withExtendedLifetime(signals) {} }
        let tally: PromiseRun.Tally
        do {
            tally = try await run.run(
                onBroker: { broker in signals = EndingSignals { broker.kill() } },
                afterRound: { round, tally in
                    await DispatchCaches.fill()
                    let footprint = try await Footprint.settled()
                    footprints.append(footprint)
                    print(row(round + 1, tally, footprint))
                    fflush(nil)
                })
        } catch let failure as PromiseFailure {
            print("failed: \(failure)")
            throw ExitCode.failure
        }
        print("\nIn \((ContinuousClock.now - start).components.seconds) s with seed \(seed): ", terminator: "")
        print(
            "\(tally.forwarded.cuts) cuts, \(tally.attempts) attempts, \(tally.connections) connections, ",
            terminator: "")
        print("\(tally.newSessions) of them with a new session; ", terminator: "")
        print("\(tally.subscriptions) times subscribed and unsubscribed.")
        try check(footprints)
    }

    private func row(_ round: Int, _ tally: PromiseRun.Tally, _ footprint: Footprint) -> String {
        func counts(_ count: (PromiseLedger.Counts) -> Int) -> String {
            MQTTQoS.allCases.map { "\(tally.messages[$0].map(count) ?? 0)" }.joined(separator: ", ")
        }
        let columns = [
            "\(round)", "\(tally.forwarded.cutsToBroker), \(tally.forwarded.cutsToClient)", "\(tally.connections)",
            counts(\.published), counts(\.received), counts(\.duplicates), "\(footprint.heap / 1_024) KB",
            "\(footprint.residentKB) KB", "\(footprint.descriptors)",
            "\(footprint.threads), \(footprint.libraryThreads)",
        ]
        return "| \(columns.joined(separator: " | ")) |"
    }

    private func check(_ footprints: [Footprint]) throws {
        guard footprints.count > Self.warmUp, let last = footprints.last else { return }
        var bounds = Bounds()
        bounds.checkGrowth(from: footprints[Self.warmUp - 1], to: last, heap: 4 << 20, residentKB: 16_384)
        try bounds.enforce()
    }
}
#endif
