// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The flags that all benchmarks have.
struct BenchOptions: ParsableArguments {
    @Option(name: .long, parsing: .unconditional, help: "How many clients share the work, each on its own connection.")
    var clients = 1

    @Flag(help: "Print the figures as one JSON object.")
    var json = false

    func check() throws {
        if !(1...1_000_000).contains(clients) {
            throw CommandFailure(message: "--clients \(clients) is not between 1 and 1000000.")
        }
    }

    static func check(count: Int) throws {
        // Leaves room for sums of this value.
        if !(1...1_000_000_000_000).contains(count) {
            throw CommandFailure(message: "-n \(count) is not between 1 and 1000000000000.")
        }
    }

    static func check(rate: Double?) throws {
        // A `Duration` traps on a value that is too large: a message every eleven days is no useful rate.
        if let rate, !(rate >= 1e-6 && rate <= 1e9) {
            throw CommandFailure(message: "--rate \(rate) is not between 0.000001 and 1000000000 a second.")
        }
    }
}
