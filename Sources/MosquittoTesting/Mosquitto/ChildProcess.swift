// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// A child process that is reaped, and that does not outlive this process.
///
/// posix_spawn instead of Foundation.Process: no run loop, no Foundation, and the child inherits none of our sockets.
package final class ChildProcess: Sendable {
    /// The files and the environment of a child.
    package struct Setup: Sendable {
        /// The file of standard input; `nil` for one that never ends.
        package var input: String? = "/dev/null"
        /// The file to which standard output is appended.
        package var output: String
        /// The file to which standard error is appended; `nil` for that of standard output.
        package var errors: String?
        /// The environment; `nil` for that of this process.
        package var environment: [String: String]?

        package init(output: String) { self.output = output }
    }

    package enum Exit: Sendable, Hashable {
        case status(Int32)
        case signal(Int32)
    }

    private enum State {
        case running
        case exited(Exit)
    }

    package let pid: Int32
    private let state = Mutex(State.running)
    /// The end of the pipe of a standard input that never ends.
    private let openInput: Int32?

    /// Spawns a process whose standard output and standard error are appended to a file.
    convenience init(executable: String, arguments: [String], log: String) throws(MosquittoTestingError) {
        try self.init(executable: executable, arguments: arguments, Setup(output: log))
    }

    package init(executable: String, arguments: [String], _ setup: Setup) throws(MosquittoTestingError) {
        ChildProcessRegistry.shared.start()
        let pipe = setup.input == nil ? try Self.makePipe() : nil
        openInput = pipe?.write
        defer { if let pipe { close(pipe.read) } }
        do throws(MosquittoTestingError) {
            pid = try Self.spawn([executable] + arguments, setup, input: pipe?.read)
        } catch {
            if let pipe { close(pipe.write) }
            throw error
        }
        ChildProcessRegistry.shared.insert(pid)
    }

    static func makePipe() throws(MosquittoTestingError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .systemCall("pipe", errno: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    static func spawn(
        _ words: [String], _ setup: Setup, input: Int32?
    ) throws(MosquittoTestingError) -> pid_t {
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
        let appending = O_WRONLY | O_CREAT | O_APPEND
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else if let path = setup.input {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, setup.output, appending, 0o600)
        if let errors = setup.errors {
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, appending, 0o600)
        } else {
            posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        }

        // The threads of an event loop may block signals, and the process may ignore some: a child inherits both.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGHUP)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        // A child that inherits a socket keeps a connection open that a test has closed.
        #if canImport(Darwin)
        flags |= Int32(POSIX_SPAWN_CLOEXEC_DEFAULT)
        #else
        for descriptor in 3..<descriptorLimit {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argv = words.map { strdup($0) } + [nil]
        var envp = setup.environment.map { $0.map { strdup("\($0)=\($1)") } + [nil] } ?? []
        defer { for text in argv + envp { free(text) } }
        var pid = pid_t()
        let result =
            envp.isEmpty
            ? posix_spawn(&pid, words[0], &actions, &attributes, &argv, environ)
            : posix_spawn(&pid, words[0], &actions, &attributes, &argv, &envp)
        guard result == 0 else { throw .systemCall("posix_spawn", errno: result) }
        return pid
    }

    deinit {
        kill()
        if let openInput { close(openInput) }
    }

    /// True if the process is running. Reaps the process if it has exited.
    package var isRunning: Bool { state.withLock { reap(&$0, options: WNOHANG) == nil } }

    /// Waits for the end of the process, and sends SIGKILL after the deadline.
    package func exit(deadline: Duration = .seconds(30)) async -> Exit {
        _ = await eventually(timeout: deadline) { !isRunning }
        return kill()
    }

    /// Sends SIGKILL and reaps the process. Returns how the process has ended, by the signal or before.
    @discardableResult
    package func kill() -> Exit {
        state.withLock { state in
            if let exit = reap(&state, options: WNOHANG) { return exit }
            sendSignal(pid, SIGKILL)
            return reap(&state, options: 0) ?? .signal(SIGKILL)
        }
    }

    /// Sends a signal. Nothing happens if the process has exited.
    package func send(_ signal: Int32) {
        // Only before the process is reaped is its identifier valid.
        state.withLock { if case .running = $0 { sendSignal(pid, signal) } }
    }

    /// Sends SIGSTOP, or SIGCONT. Nothing happens if the process has exited.
    func setSuspended(_ isSuspended: Bool) { send(isSuspended ? SIGSTOP : SIGCONT) }

    /// Sends SIGTERM and reaps the process; after the deadline SIGKILL.
    func terminate(deadline: Duration) async {
        send(SIGTERM)
        _ = await exit(deadline: deadline)
    }

    /// Returns the exit of the process; `nil` while it runs.
    private func reap(_ state: inout State, options: Int32) -> Exit? {
        if case .exited(let exit) = state { return exit }
        var status: Int32 = 0
        var result: pid_t
        repeat { result = waitpid(pid, &status, options) } while result == -1 && errno == EINTR
        if result == 0 { return nil }
        // ECHILD if other code in the process waits for all children: the child has ended, and nobody knows how.
        let signal = status & 0x7F
        let exit: Exit = result == -1 ? .status(-1) : signal == 0 ? .status(status >> 8 & 0xFF) : .signal(signal)
        ChildProcessRegistry.shared.remove(pid)
        state = .exited(exit)
        return exit
    }

    #if !canImport(Darwin)
    private static var descriptorLimit: Int32 {
        Int32(clamping: min(max(sysconf(Int32(_SC_OPEN_MAX)), 256), 4_096))
    }
    #endif
}

/// `kill(2)`, under a name that a method called `kill` does not hide.
func sendSignal(_ pid: pid_t, _ signal: Int32) {
    kill(pid, signal)
}
