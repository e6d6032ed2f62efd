import DequeModule

/// Keeps the order of what a session does: actions one after the other, and one end for each turn of the loop.
struct SessionWork {
    /// Decisions that are not carried out yet.
    var actions = Deque<SessionStateMachine.Action>()
    private var isPerforming = false
    /// True once the end of this turn has been asked for.
    var isInTurn = false

    /// Begins to carry out the actions; `false` if that is going on.
    mutating func begin() -> Bool {
        guard !isPerforming else { return false }
        isPerforming = true
        return true
    }

    mutating func end() { isPerforming = false }
}
