// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts publishes in progress, and makes the next one wait while there are too many. Only one task may enter.
final class PublishWindow: Sendable {
    private struct State {
        var count = 0
        var waiting: (limit: Int, continuation: CheckedContinuation<Void, Never>)?
    }

    private let size: Int
    private let state = Mutex(State())

    init(_ size: Int) { self.size = size }

    func enter() async {
        await wait(until: size - 1)
        state.withLock { $0.count += 1 }
    }

    func leave() {
        let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.count -= 1
            guard let waiting = state.waiting, state.count <= waiting.limit else { return nil }
            state.waiting = nil
            return waiting.continuation
        }
        continuation?.resume()
    }

    func waitUntilEmpty() async { await wait(until: 0) }

    private func wait(until limit: Int) async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.count <= limit { return true }
                state.waiting = (limit, continuation)
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
