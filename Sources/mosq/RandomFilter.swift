// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `--random-filter`: prints a random part of the messages.
struct RandomFilterOption: ParsableArguments {
    @Option(
        name: .customLong("random-filter"), parsing: .unconditional,
        help: "Print so many percent of the messages, 0.1 to 100, chosen at random.")
    var percentage: Double?

    func check() throws { _ = try threshold() }

    /// Draws at random whether the next message is printed.
    func passes(using generator: inout some RandomNumberGenerator) -> Bool {
        guard let threshold = try? threshold() else { return true }
        return Int.random(in: 0..<10_000, using: &generator) < threshold
    }

    /// Number of messages in ten thousand that are printed; `nil` without `--random-filter`.
    ///
    /// mosquitto_sub multiplies the percentage by ten instead of a hundred, and so prints a tenth of the messages that
    /// its manual promises, even at 100 percent. This function follows the manual.
    private func threshold() throws -> Int? {
        guard let percentage else { return nil }
        guard (0.1...100).contains(percentage) else {
            throw CommandFailure.usage("--random-filter chance must be between 0.1-100.0")
        }
        return Int(percentage * 100)
    }
}

extension RandomFilterOption: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        percentage = words.number("--random-filter")
    }
}
