// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `mosq bench`: measures a broker, this library and the network between them.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure publishing, subscribing or connecting.",
        discussion: """
            Prints messages and bytes a second, latency percentiles, CPU time a message, peak memory and errors: one line, or \
            with --json one object. Exit status 1 if not all was done. An interrupt ends it with the figures so far.
            """,
        subcommands: [BenchPub.self, BenchSub.self, BenchConnect.self])
}
