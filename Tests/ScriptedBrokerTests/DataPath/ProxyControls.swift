import MosquittoTesting
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// State shared by a test and the proxy's thread: orders in one direction, counts in the other.
final class ProxyControls: Sendable {
    struct State: Sendable {
        var plan: TamperingProxy.Plan
        var valves: [TamperingProxy.Valve] = [.open, .open]
        var injected: [UInt8] = []
        var isFinishing = false
        var isResetting = false
        var isStopping = false

        var counts = [TamperingProxy.Count(), TamperingProxy.Count()]
        var connections = 0
        var isConnected = false
        var hasFlipped = false
    }

    private let state: Mutex<State>
    /// A pipe, so that poll(2) waits for both orders and bytes.
    let wakeUp: Int32
    private let waker: Int32

    init(plan: TamperingProxy.Plan) throws(MosquittoTestingError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .systemCall("pipe", errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (wakeUp, waker) = (ends[0], ends[1])
        state = Mutex(State(plan: plan))
    }

    deinit {
        close(wakeUp)
        close(waker)
    }

    func order(_ change: (inout State) -> Void) {
        state.withLock { change(&$0) }
        var byte: UInt8 = 0
        _ = write(waker, &byte, 1)
    }

    /// Reads or changes the thread's report.
    func look<R: Sendable>(_ body: (inout State) -> R) -> R { state.withLock { body(&$0) } }

    /// Empties the pipe.
    func heard() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(wakeUp, &bytes, 16) > 0 {}
    }
}
