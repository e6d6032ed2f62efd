// SPDX-License-Identifier: Apache-2.0

/// Owns the timers of a session, by name. Setting a timer replaces the previous one with that name.
struct SessionTimers {
    enum Name: Hashable {
        /// Deadlines and delays of ``SessionStateMachine``.
        case machine(SessionStateMachine.Timer)
        /// The next address of the connection race.
        case race
        /// The time limit for the body of a refused upgrade.
        case refusal
        case keepAlive
        /// The time limit of the wait for suspects.
        case isolation
        /// The next tick of the age of publishes.
        case age
        /// The next message that the limit of the rate lets go.
        case pace
        /// The next check of expiring messages.
        case expiry
        /// The next report of dropped messages.
        case drops
        /// The next check of messages without a consumer.
        case unclaimed
        /// The reconnect for redelivery.
        case resending
        /// The expiry of the broker's certificate.
        case certificate
    }

    private let loop: EventLoopCore
    private var running: [Name: TimerID] = [:]

    init(_ loop: EventLoopCore) { self.loop = loop }

    func isRunning(_ name: Name) -> Bool { running[name] != nil }

    /// - Parameter isLoose: true if the loop may fire the timer up to a quarter of a second early, together with
    ///   others.
    mutating func set(_ name: Name, after delay: Duration, isLoose: Bool = false, _ action: @escaping () -> Void) {
        cancel(name)
        running[name] =
            isLoose ? loop.setLooseTimer(after: delay, action) : loop.setTimer(after: delay, action)
    }

    mutating func cancel(_ names: Name...) {
        for name in names { if let id = running.removeValue(forKey: name) { loop.cancelTimer(id) } }
    }

    /// Removes a timer that has fired.
    mutating func fired(_ name: Name) { running[name] = nil }
}
