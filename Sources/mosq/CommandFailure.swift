/// Ends the process with lines for standard error, which may be none.
struct CommandFailure: Error {
    var lines: [String]
    var status: Int32
    /// True if mosquitto's commands add a line about `--help` after this failure.
    var pointsToHelp = false

    init(lines: [String], status: Int32) {
        self.lines = lines
        self.status = status
    }

    /// A mistake of the caller, or a failure of this machine.
    init(message: String) { self.init(lines: ["Error: \(message)"], status: 1) }

    /// A mistake in the arguments.
    static func usage(_ message: String) -> CommandFailure { usage(line: "Error: \(message)") }

    /// The same, in mosquitto's words, which do not begin as usual.
    static func usage(line: String) -> CommandFailure {
        var failure = CommandFailure(lines: [line], status: 1)
        failure.pointsToHelp = true
        return failure
    }
}
