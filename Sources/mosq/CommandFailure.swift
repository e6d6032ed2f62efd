/// Ends the process with lines for standard error, which may be none.
struct CommandFailure: Error {
    var lines: [String]
    var status: Int32

    init(lines: [String], status: Int32) {
        self.lines = lines
        self.status = status
    }

    /// A mistake of whoever called the command, or a reason of this machine.
    init(message: String) { self.init(lines: ["Error: \(message)"], status: 1) }
}
