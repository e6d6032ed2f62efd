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
final class ChildProcess: Sendable {
    private enum State {
        case running(pid_t)
        case exited
    }

    private let state: Mutex<State>

    /// Spawns a process whose standard output and standard error are appended to a file.
    init(executable: String, arguments: [String], log: String) throws(MosquittoTestingError) {
        ChildProcessRegistry.shared.killAllAtExit()

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
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)

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
        for descriptor in 3..<Self.descriptorLimit {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argv = ([executable] + arguments).map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, executable, &actions, &attributes, &argv, environ)
        guard result == 0 else { throw .systemCall("posix_spawn", errno: result) }
        state = Mutex(.running(pid))
        ChildProcessRegistry.shared.insert(pid)
    }

    deinit {
        kill()
    }

    /// True if the process is running. Reaps the process if it has exited.
    var isRunning: Bool {
        state.withLock { state in
            guard case .running(let pid) = state else { return false }
            return !Self.reap(pid, into: &state, options: WNOHANG)
        }
    }

    /// Sends SIGKILL and reaps the process. Nothing happens if it has exited.
    func kill() {
        state.withLock { state in
            guard case .running(let pid) = state else { return }
            Self.signal(pid, SIGKILL)
            _ = Self.reap(pid, into: &state, options: 0)
        }
    }

    /// Sends SIGSTOP, or SIGCONT. Nothing happens if the process has exited.
    func setSuspended(_ isSuspended: Bool) {
        state.withLock { state in
            if case .running(let pid) = state { Self.signal(pid, isSuspended ? SIGSTOP : SIGCONT) }
        }
    }

    /// Sends SIGTERM and reaps the process; after the deadline SIGKILL.
    func terminate(deadline: Duration) async {
        state.withLock { state in
            if case .running(let pid) = state { Self.signal(pid, SIGTERM) }
        }
        if await !eventually(timeout: deadline, { !isRunning }) { kill() }
    }

    private static func reap(_ pid: pid_t, into state: inout State, options: Int32) -> Bool {
        var status: Int32 = 0
        var result: pid_t
        repeat { result = waitpid(pid, &status, options) } while result == -1 && errno == EINTR
        if result == 0 { return false }
        // The pid, or ECHILD if other code in the process waits for all children: the child has ended in both cases.
        ChildProcessRegistry.shared.remove(pid)
        state = .exited
        return true
    }

    /// Calls `kill(2)` through a function at file scope, since the method of the same name shadows it. Called only
    /// before the process is reaped, so the pid is still valid.
    private static func signal(_ pid: pid_t, _ signal: Int32) {
        sendSignal(pid, signal)
    }

    #if !canImport(Darwin)
    private static var descriptorLimit: Int32 {
        Int32(clamping: min(max(sysconf(Int32(_SC_OPEN_MAX)), 256), 4_096))
    }
    #endif
}

private func sendSignal(_ pid: pid_t, _ signal: Int32) {
    kill(pid, signal)
}

/// The processes that `exit(3)` must not leave behind.
private final class ChildProcessRegistry: Sendable {
    static let shared = ChildProcessRegistry()

    private struct State {
        var pids: Set<pid_t> = []
        var isRegistered = false
    }

    private let state = Mutex(State())

    func insert(_ pid: pid_t) {
        state.withLock { _ = $0.pids.insert(pid) }
    }

    func remove(_ pid: pid_t) {
        state.withLock { _ = $0.pids.remove(pid) }
    }

    func killAllAtExit() {
        let isFirst = state.withLock { state in
            defer { state.isRegistered = true }
            return !state.isRegistered
        }
        guard isFirst else { return }
        atexit {
            // A failed test run calls exit() while tests hold their brokers, so deinit does not run.
            let pids = ChildProcessRegistry.shared.state.withLock { $0.pids }
            for pid in pids { sendSignal(pid, SIGKILL) }
        }
    }
}
