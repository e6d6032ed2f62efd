import ArgumentParser

/// `--random-filter`: prints a part of the messages, as chance will have it.
struct RandomFilterOption: ParsableArguments {
    @Option(
        name: .customLong("random-filter"), parsing: .unconditional,
        help: "Print so many percent of the messages, 0.1 to 100, chosen at random.")
    var percentage: Double?

    func check() throws { _ = try threshold() }

    /// Whether one more message is to be printed.
    func passes(using generator: inout some RandomNumberGenerator) -> Bool {
        guard let threshold = try? threshold() else { return true }
        return Int.random(in: 0..<10_000, using: &generator) < threshold
    }

    /// Of ten thousand.
    ///
    /// mosquitto_sub multiplies by ten where a hundred was meant, and so prints a tenth of what its manual says, even of 100
    /// percent. This is what the manual says.
    private func threshold() throws -> Int? {
        guard let percentage else { return nil }
        guard (0.1...100).contains(percentage) else {
            throw CommandFailure.usage("--random-filter chance must be between 0.1-100.0")
        }
        return Int(percentage * 100)
    }
}
