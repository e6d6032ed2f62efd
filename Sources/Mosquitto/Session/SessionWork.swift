// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Keeps the order of a session's work: actions one after the other, and one end for each turn of the loop.
struct SessionWork {
    /// The decisions that were not performed yet.
    var actions = Deque<SessionStateMachine.Action>()
    private var isPerforming = false
    /// True after the end of this turn was scheduled.
    var isInTurn = false

    /// Begins to perform the actions. Returns `false` if they are already being performed.
    mutating func begin() -> Bool {
        guard !isPerforming else { return false }
        isPerforming = true
        return true
    }

    mutating func end() {
        isPerforming = false
        // A connected client performs an action once in a while, and there may be thousands of clients.
        actions.removeAll()
    }
}
