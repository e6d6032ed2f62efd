// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// The result of a client process, as its parent process sees it.
struct ClientEnd: Sendable {
    var status: Int32
    var wasKilled: Bool
    var output: [UInt8]
    var errors: String
}

/// A program that runs beside the tests. Its output goes to files, so that no full pipe stops it.
final class ClientProcess: Sendable {
    private let folder: TemporaryDirectory
    private let process: ChildProcess

    init(_ program: Program, _ arguments: [String], input: [UInt8], configuration: String) throws {
        folder = try TemporaryDirectory()
        try Data(input).write(to: URL(fileURLWithPath: "\(folder.path)/input"))
        var setup = ChildProcess.Setup(output: "\(folder.path)/output")
        setup.input = "\(folder.path)/input"
        setup.errors = "\(folder.path)/errors"
        // Excludes the user's options files and the machine's time zone.
        setup.environment = [
            "XDG_CONFIG_HOME": configuration, "HOME": folder.path, "TZ": "UTC-2", "PATH": "/usr/bin:/bin",
        ]
        process = try ChildProcess(
            executable: program.executable.path, arguments: program.arguments + arguments, setup)
    }

    var isRunning: Bool { process.isRunning }

    /// Waits for the process to end, and kills it after the deadline.
    func end(timeout: Duration) async throws -> ClientEnd {
        let (status, wasKilled) =
            switch await process.exit(deadline: timeout) {
            case .status(let status): (status, false)
            case .signal(let signal): (signal, true)
            }
        return ClientEnd(
            status: status, wasKilled: wasKilled, output: try bytes("output"),
            errors: String(decoding: try bytes("errors"), as: UTF8.self))
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)")))
    }
}

/// One of the two programs of a comparison.
struct Program: Sendable {
    let executable: URL
    /// The arguments that precede those of the row.
    let arguments: [String]

    /// mosquitto's own command; `nil` if it is not installed.
    static func mosquitto(_ command: Row.Command) -> Program? {
        ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map { "\($0)/mosquitto_\(command.rawValue)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
            .map { Program(executable: URL(fileURLWithPath: $0), arguments: []) }
    }

    /// The `mosq` that was built with the tests: beside the test bundle, which is where SwiftPM links products.
    static func mosq(_ command: Row.Command) -> Program {
        #if os(macOS)
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL ?? Bundle.main.bundleURL
        #else
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0])
        #endif
        let executable = bundle.deletingLastPathComponent().appendingPathComponent("mosq")
        return Program(executable: executable, arguments: [command.rawValue])
    }
}
