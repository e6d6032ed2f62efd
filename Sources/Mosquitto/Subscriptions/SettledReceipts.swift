// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Receipts on their way from the consumers, which settle them on any thread, to the loop.
final class SettledReceipts: Sendable {
    private struct State {
        var receipts: [Receipt] = []
        var wake: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Sets the closure that is called when receipts arrive again.
    func whenSettled(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wake = wake } }

    func add(_ receipt: Receipt) {
        let wake = state.withLock { state in
            state.receipts.append(receipt)
            return state.receipts.count == 1 ? state.wake : nil
        }
        wake?()
    }

    func take() -> [Receipt] {
        state.withLock { state in
            defer { state.receipts = [] }
            return state.receipts
        }
    }
}
