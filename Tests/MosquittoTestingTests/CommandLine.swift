// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// The end of a command.
struct CommandResult {
    let status: Int32
    let output: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// A command that runs beside the test; its output goes to a file, so that no full pipe stops it.
final class RunningCommand: Sendable {
    struct Killed: Error {
        let exit: ChildProcess.Exit
        let output: String
    }

    private let directory: TemporaryDirectory
    private let process: ChildProcess

    init(_ executable: String, _ arguments: [String]) throws {
        directory = try TemporaryDirectory()
        process = try ChildProcess(
            executable: executable, arguments: arguments, .init(output: directory.path + "/output"))
    }

    func result() async throws -> CommandResult {
        let exit = await process.exit(deadline: .seconds(60))
        let output = try String(contentsOfFile: directory.path + "/output", encoding: .utf8)
        guard case .status(let status) = exit else { throw Killed(exit: exit, output: output) }
        return CommandResult(status: status, output: output)
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
