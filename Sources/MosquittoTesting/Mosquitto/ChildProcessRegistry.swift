// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The child processes that must not outlive this process, however it ends.
///
/// `exit(3)` kills them. A guardian does so after a crash or SIGKILL: a shell that reads the identifiers of the
/// children from a socket, whose other end closes with this process.
final class ChildProcessRegistry: Sendable {
    static let shared = ChildProcessRegistry()

    private struct State {
        var pids: Set<pid_t> = []
        var isStarted = false
        /// The socket to the guardian; `nil` if there is no guardian.
        var guardian: Int32?
    }

    private let state = Mutex(State())

    func insert(_ pid: pid_t) {
        state.withLock { state in
            state.pids.insert(pid)
            Self.tell(state.guardian, "+ \(pid)\n")
        }
    }

    func remove(_ pid: pid_t) {
        state.withLock { state in
            state.pids.remove(pid)
            Self.tell(state.guardian, "- \(pid)\n")
        }
    }

    /// Starts the guardian, once.
    func start() {
        state.withLock { state in
            if state.isStarted { return }
            state.isStarted = true
            atexit {
                // A failed test run calls exit() while tests hold their brokers, so deinit does not run.
                let pids = ChildProcessRegistry.shared.state.withLock { $0.pids }
                for pid in pids { sendSignal(pid, SIGKILL) }
            }
            state.guardian = Self.startGuardian()
        }
    }

    /// Returns the socket to the guardian; `nil` if there can be none.
    private static func startGuardian() -> Int32? {
        #if canImport(Glibc)
        let kind = Int32(SOCK_STREAM.rawValue)
        #else
        let kind = SOCK_STREAM
        #endif
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        #if canImport(Darwin)
        var isOn: Int32 = 1
        setsockopt(ends[0], SOL_SOCKET, SO_NOSIGPIPE, &isOn, socklen_t(MemoryLayout<Int32>.size))
        #endif
        var setup = ChildProcess.Setup(output: "/dev/null")
        setup.environment = ["PATH": "/usr/bin:/bin"]
        let guardian = try? ChildProcess.spawn(["/bin/sh", "-c", script], setup, input: ends[1])
        close(ends[1])
        if guardian != nil { return ends[0] }
        close(ends[0])
        return nil
    }

    /// An interrupt from the terminal reaches the whole group of processes: the guardian survives it.
    private static let script = """
        trap '' HUP INT TERM
        children=' '
        while read -r change child; do
            case $change in
                +) children="$children$child " ;;
                -) case $children in
                    *" $child "*) children="${children%%" $child "*} ${children#*" $child "}" ;;
                esac ;;
            esac
        done
        for child in $children; do kill -KILL "$child"; done
        """

    private static func tell(_ guardian: Int32?, _ line: String) {
        guard let guardian else { return }
        // A guardian that somebody has killed raises no SIGPIPE here.
        #if canImport(Darwin)
        let flags: Int32 = 0
        #else
        let flags = Int32(MSG_NOSIGNAL)
        #endif
        let bytes = Array(line.utf8)
        _ = send(guardian, bytes, bytes.count, flags)
    }
}
