// SPDX-License-Identifier: Apache-2.0

/// The events of a socket.
struct PollEvents: OptionSet {
    let rawValue: UInt8

    static let readable = PollEvents(rawValue: 1)
    static let writable = PollEvents(rawValue: 2)
    /// An error or a hang-up; the next system call on the socket returns the error.
    static let failed = PollEvents(rawValue: 4)
    /// The peer has closed its side. Watched alone while reading is paused: unread bytes are then no event.
    static let finished = PollEvents(rawValue: 8)
}

extension Poller {
    /// The time limit of a wait.
    enum Limit {
        case now, never
        case at(ContinuousClock.Instant)
    }

    /// Upper bound of a timer's delay after a suspension if the system sets no alarm.
    static let longestWait = Duration.seconds(5)

    /// Returns the remaining time, at most ``longestWait``.
    static func capped(_ deadline: ContinuousClock.Instant) -> Duration {
        min(max(.zero, deadline - .now), longestWait)
    }
}

/// An alarm of a poller, on the clock that continues while the machine is suspended.
struct AlarmTime {
    /// The time at which the alarm fires; `nil` if it is not set.
    private var time: ContinuousClock.Instant?

    /// Sets the alarm to fire by `deadline`. An earlier setting is kept: its timer has usually been cancelled, and a
    /// needless wake-up costs less than a system call for each change. Returns true if the alarm will fire; a deadline
    /// that has passed needs no alarm.
    ///
    /// - Parameter arm: makes the alarm fire once after this time, instead of the time set before. Returns true if the
    ///   system has accepted it.
    mutating func set(_ deadline: ContinuousClock.Instant, arm: (Duration) -> Bool) -> Bool {
        if let time, time <= deadline { return true }
        let rest = deadline - .now
        guard rest > .zero, arm(rest) else { return false }
        time = deadline
        return true
    }

    mutating func hasRung() { time = nil }
}
