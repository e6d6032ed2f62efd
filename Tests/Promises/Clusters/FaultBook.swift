// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The figures of a cluster's clients, for each kind of fault.
package final class FaultBook: Sendable {
    package struct Figures: Sendable {
        /// The number of faults.
        package var times = 0
        /// The longest time without a connection, of any client.
        package var longestGap = Duration.zero
        /// The sum and the number of all times without a connection.
        package var gaps = Duration.zero
        package var gapCount = 0
        package var attempts = 0
        package var failedAttempts = 0
        package var rotations = 0
        /// The longest time from a call of `publish` to its return.
        package var longestPublish = Duration.zero
    }

    private struct State {
        var current: ClusterFault?
        var figures: [ClusterFault?: Figures] = [:]
        var stopped: [String] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// The figures of the time before the first fault have no kind.
    package var figures: [ClusterFault?: Figures] { state.withLock { $0.figures } }
    /// The errors of clients that stopped by themselves.
    package var stopped: [String] { state.withLock { $0.stopped } }

    /// Begins a fault: whatever happens until the next one belongs to it.
    func begin(_ fault: ClusterFault) {
        state.withLock { state in
            state.current = fault
            state.figures[fault, default: Figures()].times += 1
        }
    }

    func attempted() { change { $0.attempts += 1 } }

    func failed() { change { $0.failedAttempts += 1 } }

    func rotated() { change { $0.rotations += 1 } }

    func stopped(_ error: String) { state.withLock { $0.stopped.append(error) } }

    func gap(_ time: Duration) {
        change { figures in
            figures.longestGap = max(figures.longestGap, time)
            figures.gaps += time
            figures.gapCount += 1
        }
    }

    func published(in time: Duration) { change { $0.longestPublish = max($0.longestPublish, time) } }

    private func change(_ body: (inout Figures) -> Void) {
        state.withLock { state in body(&state.figures[state.current, default: Figures()]) }
    }
}
