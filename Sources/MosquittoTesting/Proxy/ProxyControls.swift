// SPDX-License-Identifier: Apache-2.0

internal import Mosquitto
internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// State shared by the proxy and its thread: orders in one direction, counts in the other.
final class ProxyControls: Sendable {
    struct State: Sendable {
        var broker: MQTTEndpoint
        var plan: @Sendable (_ connection: Int) -> TCPProxy.Plan
        var valves: [TCPProxy.Valve] = [.open, .open]
        var injected: [UInt8] = []
        var isFinishing = false
        var ending: (ending: TCPProxy.Ending, afterDelivery: Bool)?
        var isStopping = false

        var counts = [TCPProxy.Count(), TCPProxy.Count()]
        var roundTrips = 0
        var hasFlipped = false
        var connections = 0
        var open = 0
        var cuts = [0, 0]
        var rejections = 0
    }

    /// The orders for the connections that are open.
    struct Orders {
        var valves: [TCPProxy.Valve]
        var injected: [UInt8]
        var isFinishing: Bool
        var ending: (ending: TCPProxy.Ending, afterDelivery: Bool)?
        var isStopping: Bool
    }

    private let state: Mutex<State>
    /// A pipe: poll(2) waits for orders as it does for bytes.
    let wakeUp: Int32
    private let waker: Int32

    init(broker: MQTTEndpoint, plan: TCPProxy.Plan) throws(MosquittoTestingError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .systemCall("pipe", errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (wakeUp, waker) = (ends[0], ends[1])
        state = Mutex(State(broker: broker, plan: { _ in plan }))
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

    /// Reads or changes the state without waking the thread.
    func look<R: Sendable>(_ body: (inout State) -> R) -> R { state.withLock { body(&$0) } }

    /// Returns the orders since the last call.
    func take() -> Orders {
        state.withLock { state in
            defer { (state.injected, state.isFinishing, state.ending) = ([], false, nil) }
            return Orders(
                valves: state.valves, injected: state.injected, isFinishing: state.isFinishing, ending: state.ending,
                isStopping: state.isStopping)
        }
    }

    /// Empties the pipe.
    func heard() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(wakeUp, &bytes, 16) > 0 {}
    }
}
