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
        if count < 1 { throw CommandFailure(message: "-n \(count) is not at least 1.") }
    }

    static func check(rate: Double?) throws {
        if let rate, !(rate > 0 && rate <= 1e9) {
            throw CommandFailure(message: "--rate \(rate) is not above 0, nor at most 1000000000 a second.")
        }
    }
}
