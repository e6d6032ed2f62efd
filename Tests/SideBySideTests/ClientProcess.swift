import Foundation
import MosquittoTesting
import Synchronization

/// The result of a client process, as its parent process sees it.
struct ClientEnd: Sendable {
    var status: Int32
    var wasKilled: Bool
    var output: [UInt8]
    var errors: String
}

/// A program that runs beside the tests. Its output goes to files, so that no full pipe stops it.
///
/// posix_spawn instead of Foundation.Process: that reads the list of its descriptors in a way that crashes when there
/// are hundreds of them, and leaves the signal mask of the starting thread to the child. Those of a pool block SIGALRM,
/// with which mosquitto's commands end themselves.
final class ClientProcess: Sendable {
    private let folder: TemporaryDirectory
    private let pid: pid_t
    /// The status of waitpid(2); `nil` while the process runs.
    private let status = Mutex<Int32?>(nil)

    init(_ program: Program, _ arguments: [String], input: [UInt8], configuration: String) throws {
        folder = try TemporaryDirectory()
        try Data(input).write(to: URL(fileURLWithPath: "\(folder.path)/input"))
        // Excludes the user's options files and the machine's time zone.
        let environment = [
            "XDG_CONFIG_HOME=\(configuration)", "HOME=\(folder.path)", "TZ=UTC-2", "PATH=/usr/bin:/bin",
        ]
        pid = try Self.spawn([program.executable.path] + program.arguments + arguments, environment, folder.path)
    }

    deinit { kill() }

    private static func spawn(_ arguments: [String], _ environment: [String], _ folder: String) throws -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "\(folder)/input", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "\(folder)/output", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "\(folder)/errors", O_WRONLY | O_CREAT, 0o600)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, arguments[0], &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw MosquittoTestingError.systemCall("posix_spawn", errno: code) }
        return pid
    }

    var isRunning: Bool { !reap(WNOHANG) }

    /// Waits for the process to end, and kills it after the deadline.
    func end(timeout: Duration) async throws -> ClientEnd {
        if await !eventually(timeout: timeout, { !isRunning }) { kill() }
        let raw = status.withLock { $0 } ?? 0
        let signal = raw & 0x7F
        return ClientEnd(
            status: signal == 0 ? raw >> 8 & 0xFF : signal, wasKilled: signal != 0, output: try bytes("output"),
            errors: String(decoding: try bytes("errors"), as: UTF8.self))
    }

    private func kill() {
        if reap(WNOHANG) { return }
        Foundation.kill(pid, SIGKILL)
        _ = reap(0)
    }

    /// Reaps the process, and returns true if it has ended.
    private func reap(_ options: Int32) -> Bool {
        status.withLock { status in
            if status != nil { return true }
            var raw: Int32 = 0
            guard waitpid(pid, &raw, options) == pid else { return false }
            status = raw
            return true
        }
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
