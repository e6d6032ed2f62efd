// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// The end of a command.
struct MosqResult {
    let status: Int32
    let wasKilled: Bool
    let output: String
    let errors: String

    var errorLines: [Substring] { errors.split(separator: "\n") }
    var events: [JSON] { errorLines.compactMap { JSON($0) } }
}

/// The `mosq` that was built with the tests, running beside one. Its output goes to files, so that no full pipe stops it.
final class MosqProcess: Sendable {
    private let folder: TemporaryDirectory
    private let process: ChildProcess

    /// - Parameters:
    ///   - input: standard input; `nil` for one that never ends.
    ///   - link: the name of a link to `mosq` to start it by.
    ///   - options: the content of the options file of `mosquitto_pub`, `_sub` and `_rr`; there is none by default.
    ///   - executable: the path of another command to run.
    ///   - environment: further variables of its environment.
    init(
        _ arguments: [String], input: String? = "", link: String? = nil, options: String? = nil,
        executable: String? = nil, environment: [String: String] = [:]
    ) throws {
        let folder = try TemporaryDirectory()
        var program = executable ?? Self.executable.path
        if let link {
            program = "\(folder.path)/\(link)"
            try FileManager.default.createSymbolicLink(
                atPath: program, withDestinationPath: Self.executable.resolvingSymlinksInPath().path)
        }
        var setup = ChildProcess.Setup(output: "\(folder.path)/output")
        setup.errors = "\(folder.path)/errors"
        // An empty folder keeps the user's own options files out of the test.
        let configuration = "\(folder.path)/config"
        try FileManager.default.createDirectory(atPath: configuration, withIntermediateDirectories: true)
        setup.environment = ProcessInfo.processInfo.environment.merging(
            environment.merging(["XDG_CONFIG_HOME": configuration], uniquingKeysWith: { $1 }),
            uniquingKeysWith: { $1 })
        if let options {
            for name in ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"] {
                _ = try folder.write(options, to: "config/\(name)")
            }
        }
        setup.input = try input.map { try folder.write($0, to: "input") }
        // A test may read them before the process has opened them.
        for name in ["output", "errors"] { _ = try folder.write("", to: name) }
        self.folder = folder
        process = try ChildProcess(executable: program, arguments: arguments, setup)
    }

    var pid: Int32 { process.pid }
    var isRunning: Bool { process.isRunning }

    func send(_ signal: Int32) { process.send(signal) }

    /// Waits for the end; after the deadline it is killed.
    func result(timeout: Duration = .seconds(120)) async throws -> MosqResult {
        let (status, wasKilled) =
            switch await process.exit(deadline: timeout) {
            case .status(let status): (status, false)
            case .signal(let signal): (signal, true)
            }
        return MosqResult(status: status, wasKilled: wasKilled, output: try text("output"), errors: try text("errors"))
    }

    /// Waits for an event of this name that fulfils the condition.
    func waitForEvent(_ name: String, _ condition: (JSON) -> Bool = { _ in true }) async throws -> Bool {
        try await eventually(timeout: .seconds(60)) {
            try text("errors").split(separator: "\n").compactMap { JSON($0) }
                .contains { $0["event"]?.string == name && condition($0) }
        }
    }

    /// Waits for this text in the standard output.
    func waitForOutput(_ expected: String) async throws -> Bool {
        try await eventually(timeout: .seconds(60)) { try text("output").contains(expected) }
    }

    private func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)")), as: UTF8.self)
    }

    /// Beside the test bundle, which is where SwiftPM links products.
    static var executable: URL {
        #if os(macOS)
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL ?? Bundle.main.bundleURL
        #else
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0])
        #endif
        return bundle.deletingLastPathComponent().appendingPathComponent("mosq")
    }
}

/// Runs `mosq` to its end.
func runMosq(_ arguments: String..., input: String = "") async throws -> MosqResult {
    try await MosqProcess(arguments, input: input).result()
}
