import ArgumentParser
import Logging
import Mosquitto

/// Many clients in one process: `scripts/soak clients`, `connect-rate` and `stopped` build and run it.
@main
struct Scale: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What many clients in one process take.", subcommands: subcommands)

    private static var subcommands: [any ParsableCommand.Type] {
        #if os(Linux)
        [Idle.self, ConnectRate.self, Stopped.self]
        #else
        []
        #endif
    }
}

/// The reason for a failed measurement, in a sentence.
struct ScaleFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension Logger {
    /// A logger for clients whose failures are the measurement.
    static var criticalOnly: Logger {
        var logger = Logger(label: "scale")
        logger.logLevel = .critical
        return logger
    }
}
