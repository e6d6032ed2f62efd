/// Owns the timers of a session, by name. Setting one takes the place of the one before.
struct SessionTimers {
    enum Name: Hashable {
        /// Deadlines and delays of ``SessionStateMachine``.
        case machine(SessionStateMachine.Timer)
        /// The next address of the race.
        case race
        case keepAlive
        /// Suspects are waited for.
        case isolation
        /// The next tick of the age of publishes.
        case age
        /// The next look at messages that expire.
        case expiry
        /// The next report of dropped messages.
        case drops
        /// The next look at messages that nobody takes.
        case unclaimed
        /// The reconnect that has messages sent again.
        case resending
    }

    private let loop: EventLoopCore
    private var running: [Name: TimerID] = [:]

    init(_ loop: EventLoopCore) { self.loop = loop }

    func isRunning(_ name: Name) -> Bool { running[name] != nil }

    /// - Parameter isLoose: true if the loop may fire it late, together with others.
    mutating func set(_ name: Name, after delay: Duration, isLoose: Bool = false, _ action: @escaping () -> Void) {
        cancel(name)
        running[name] =
            isLoose ? loop.setLooseTimer(after: delay, action) : loop.setTimer(after: delay, action)
    }

    mutating func cancel(_ names: Name...) {
        for name in names { if let id = running.removeValue(forKey: name) { loop.cancelTimer(id) } }
    }

    /// The timer has fired.
    mutating func fired(_ name: Name) { running[name] = nil }
}
