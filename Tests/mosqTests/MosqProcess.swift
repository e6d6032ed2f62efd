import Foundation
import MosquittoTesting
import Synchronization

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
    private let process: Mutex<Process>
    let pid: Int32

    /// - Parameters:
    ///   - input: standard input; `nil` for one that never ends.
    ///   - link: the name of a link to `mosq` to start it by.
    ///   - options: the content of the options file of `mosquitto_pub`, `_sub` and `_rr`; there is none by default.
    ///   - executable: the path of another command to run.
    init(
        _ arguments: [String], input: String? = "", link: String? = nil, options: String? = nil,
        executable: String? = nil
    ) throws {
        let folder = try TemporaryDirectory()
        let process = Process()
        if let link {
            let path = "\(folder.path)/\(link)"
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: Self.executable.resolvingSymlinksInPath().path)
            process.executableURL = URL(fileURLWithPath: path)
        } else {
            process.executableURL = executable.map { URL(fileURLWithPath: $0) } ?? Self.executable
        }
        process.arguments = arguments
        // An empty folder keeps the user's own options files out of the test.
        let configuration = "\(folder.path)/config"
        try FileManager.default.createDirectory(atPath: configuration, withIntermediateDirectories: true)
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["XDG_CONFIG_HOME": configuration], uniquingKeysWith: { $1 })
        if let options {
            for name in ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"] {
                _ = try folder.write(options, to: "config/\(name)")
            }
        }
        if let input {
            process.standardInput = FileHandle(forReadingAtPath: try folder.write(input, to: "input"))
        } else {
            process.standardInput = Pipe()
        }
        process.standardOutput = FileHandle(forWritingAtPath: try folder.write("", to: "output"))
        process.standardError = FileHandle(forWritingAtPath: try folder.write("", to: "errors"))
        try process.run()
        self.folder = folder
        pid = process.processIdentifier
        self.process = Mutex(process)
    }

    deinit { if isRunning { kill(pid, SIGKILL) } }

    var isRunning: Bool { process.withLock { $0.isRunning } }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits for the end; after the deadline it is killed.
    func result(timeout: Duration = .seconds(30)) async throws -> MosqResult {
        if await !eventually(timeout: timeout, { !isRunning }) {
            kill(pid, SIGKILL)
            _ = await eventually(timeout: .seconds(5)) { !isRunning }
        }
        let (status, wasKilled) = process.withLock {
            ($0.terminationStatus, $0.terminationReason == .uncaughtSignal)
        }
        return MosqResult(status: status, wasKilled: wasKilled, output: try text("output"), errors: try text("errors"))
    }

    /// Waits for an event of this name that fulfils the condition.
    func waitForEvent(_ name: String, _ condition: (JSON) -> Bool = { _ in true }) async throws -> Bool {
        try await eventually(timeout: .seconds(20)) {
            try text("errors").split(separator: "\n").compactMap { JSON($0) }
                .contains { $0["event"]?.string == name && condition($0) }
        }
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
