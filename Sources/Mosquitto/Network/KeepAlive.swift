// SPDX-License-Identifier: Apache-2.0

/// Decides from the silence of a connection when to send PINGREQ and when the connection is lost (MQTT 5.0, section
/// 3.1.2.10).
///
/// A value that compares instants and counts no ticks, so that a single check is right even after the machine was
/// suspended. Callers pass the time.
struct KeepAlive {
    typealias Instant = ContinuousClock.Instant

    /// The result of a check.
    enum Verdict: Hashable {
        case fine
        /// PINGREQ is due: see ``pinged(end:now:)``.
        case ping
        /// The answer to PINGREQ is overdue.
        case lost
    }

    /// An unanswered PINGREQ.
    private struct Ping {
        /// Number of bytes written up to the end of the PINGREQ.
        let end: Int
        /// The time within which the PINGRESP must arrive.
        let patience: Duration
        /// The start of the wait for the PINGRESP: the time at which the PINGREQ, or a byte before it, last left this
        /// machine.
        var since: Instant
    }

    /// The interval between checks: a fifth of the keep-alive, but at least a second.
    let interval: Duration
    private let period: Duration
    private var lastSent: Instant
    private var lastReceived: Instant
    private var ping: Ping?
    private var lastDelivered = 0

    /// Tolerance: checks may be a quarter of a second early, and less than that late.
    private static let slack = Duration.milliseconds(500)
    /// The time limit for a broker that should already have closed the connection.
    private static let shortPatience = Duration.seconds(10)

    /// Returns `nil` if there is no keep-alive.
    init?(seconds: Int, now: Instant) {
        guard seconds > 0 else { return nil }
        period = .seconds(seconds)
        interval = max(.seconds(1), period / 5)
        lastSent = now
        lastReceived = now
    }

    /// Records that bytes were handed to the system.
    mutating func sent(_ now: Instant) { lastSent = now }

    /// Records that bytes arrived from the broker: it is alive. Pings of a WebSocket are of a front, and do not count.
    mutating func received(_ now: Instant) {
        lastReceived = now
        ping = nil
    }

    /// True if no bytes were transferred for longer than the interval between checks.
    func isQuiet(_ now: Instant) -> Bool { now - max(lastSent, lastReceived) > interval }

    /// Checks the connection.
    ///
    /// - Parameters:
    ///   - delivered: number of written bytes that have left this machine. While the number grows, a PINGREQ behind
    ///     them cannot have been answered yet.
    ///   - isReading: true if a PINGRESP would be read. While reading is paused, PINGREQ only keeps the connection
    ///     alive for the broker.
    mutating func look(now: Instant, delivered: Int, isReading: Bool) -> Verdict {
        defer { lastDelivered = delivered }
        if !isReading { received(now) }
        guard var ping else {
            // The next check could be too late.
            let isDue = now - min(lastSent, lastReceived) + interval + Self.slack >= period
            return isDue ? .ping : .fine
        }
        if lastDelivered < ping.end, delivered > lastDelivered {
            ping.since = now
            self.ping = ping
        }
        return now - ping.since + Self.slack >= ping.patience ? .lost : .fine
    }

    /// Records a written PINGREQ; `end` is the number of bytes written including it.
    ///
    /// A broker closes a connection that is silent for one and a half times the keep-alive. Only a machine that was
    /// suspended is that late, and the client then does not wait for another full keep-alive.
    mutating func pinged(end: Int, now: Instant) {
        let isOverdue = now - lastReceived >= period * 3 / 2
        ping = Ping(end: end, patience: isOverdue ? min(period, Self.shortPatience) : period, since: now)
        lastSent = now
    }
}
