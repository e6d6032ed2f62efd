// SPDX-License-Identifier: Apache-2.0

/// Ends the process with an exit status and lines for standard error, possibly none.
struct CommandFailure: Error {
    var lines: [String]
    var status: Int32
    /// True if mosquitto's commands add a line about `--help` after this failure.
    var pointsToHelp = false

    init(lines: [String], status: Int32) {
        self.lines = lines
        self.status = status
    }

    /// An error of the caller or a failure of this machine.
    init(message: String) { self.init(lines: ["Error: \(message)"], status: 1) }

    /// An error in the arguments.
    static func usage(_ message: String) -> CommandFailure { usage(line: "Error: \(message)") }

    /// An error in the arguments, reported with mosquitto's exact line, which does not begin with "Error:".
    static func usage(line: String) -> CommandFailure {
        var failure = CommandFailure(lines: [line], status: 1)
        failure.pointsToHelp = true
        return failure
    }
}
