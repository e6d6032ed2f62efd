// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that only the first caller sets.
final class FirstValue<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)

    var value: Value? { state.withLock { $0 } }

    func set(_ value: Value) { state.withLock { $0 = $0 ?? value } }
}
