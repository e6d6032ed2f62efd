// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Calls of a test that the broker's thread has not carried out yet, in their order.
final class BrokerCalls: Sendable {
    typealias Call = @Sendable (BrokerCore) -> Void

    private let waiting = Mutex<[Call]>([])

    func add(_ call: @escaping Call) { waiting.withLock { $0.append(call) } }

    /// Removes and returns all of them.
    func take() -> [Call] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
