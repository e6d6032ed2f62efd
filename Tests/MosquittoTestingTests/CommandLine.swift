import Foundation
import MosquittoTesting
import Synchronization

/// The end of a command.
struct CommandResult {
    let status: Int32
    let output: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// A command that runs beside the test; its output goes to a file, so that no full pipe stops it.
final class RunningCommand: Sendable {
    private let directory: TemporaryDirectory
    private let process: Mutex<Process>
    private let status: Task<Int32, any Error>

    init(_ executable: String, _ arguments: [String]) throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("", to: "output")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let output = FileHandle(forWritingAtPath: path)
        process.standardOutput = output
        process.standardError = output
        let (exits, exit) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { process in
            exit.yield(process.terminationStatus)
            exit.finish()
        }
        try process.run()
        self.directory = directory
        self.process = Mutex(process)
        status = Task {
            for await status in exits { return status }
            throw CancellationError()
        }
    }

    deinit {
        process.withLock { if $0.isRunning { $0.terminate() } }
    }

    func result() async throws -> CommandResult {
        let status = try await status.value
        return CommandResult(
            status: status,
            output: try String(contentsOfFile: directory.path + "/output", encoding: .utf8)
        )
    }
}

/// Runs a command to its end.
func run(_ executable: String, _ arguments: String...) async throws -> CommandResult {
    try await RunningCommand(executable, arguments).result()
}

func publish(_ arguments: String...) async throws -> CommandResult {
    try await RunningCommand("/usr/bin/mosquitto_pub", ["-h", "localhost"] + arguments).result()
}

/// `-W 20` ends a subscriber whose messages do not arrive.
func subscribe(_ arguments: String...) throws -> RunningCommand {
    try RunningCommand("/usr/bin/mosquitto_sub", ["-h", "localhost", "-W", "20"] + arguments)
}
