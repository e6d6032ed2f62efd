/// Ends the process with lines for standard error, which may be none.
struct CommandFailure: Error {
    var lines: [String]
    var status: Int32
    /// Whether mosquitto's commands tell then how to ask for help.
    var pointsToHelp = false

    init(lines: [String], status: Int32) {
        self.lines = lines
        self.status = status
    }

    /// A mistake of whoever called the command, or a reason of this machine.
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
