// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
/// Kills members of a consumer group under load, and checks that every message is handled.
struct Group: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A consumer group under load, a member of which is killed at intervals: losses, shares, duplicates.")

    @Option(help: "How long messages are published.")
    var minutes = 1.0

    @Option(help: "Messages a second, all together.")
    var rate = 20_000

    @Option(help: "How many members, each a process.")
    var members = 4

    @Option(help: "Seconds from one SIGKILL to the next.")
    var killEvery = 10.0

    @Option(help: "Decides which members are killed.")
    var seed: UInt64 = 1

    func validate() throws {
        if minutes <= 0 || rate < 1 || members < 1 || killEvery <= 1 {
            throw ValidationError("--minutes, --rate and --members have to be positive, --kill-every more than 1.")
        }
    }

    func run() async throws {
        var run = GroupRun(executable: CommandLine.arguments[0])
        run.members = members
        run.rate = rate
        run.duration = .seconds(minutes * 60)
        run.killEvery = .seconds(killEvery)
        run.seed = seed
        var signals: EndingSignals?
        defer { withExtendedLifetime(signals) {} }
        let tally = try await run.run { broker in signals = EndingSignals { broker.kill() } }
        print("| member | messages | share |")
        print("| ---: | ---: | ---: |")
        let total = tally.shares.reduce(0, +)
        for (number, share) in tally.shares.enumerated() {
            print("| \(number) | \(share) | \(rounded(Double(share) / Double(total) * 100)) % |")
        }
        let seconds = tally.publishing / .seconds(1)
        print(
            """

            \(tally.published) messages in \(rounded(seconds)) s, \(rounded(Double(tally.published) / seconds, 0)) a second; \
            \(tally.kills) members killed
            \(tally.distinct) handled, \(tally.duplicates) of them more than once; \
            \(tally.backlog) not yet handled one second after the last publish
            """)
        var bounds = Bounds()
        bounds.check(tally.lost == 0, "\(tally.lost) messages lost")
        bounds.check(tally.exits.allSatisfy { $0 == 0 }, "exit statuses after SIGTERM: \(tally.exits)")
        bounds.check(tally.shares.allSatisfy { $0 > 0 }, "each member has a share")
        try bounds.enforce()
    }
}
#endif
