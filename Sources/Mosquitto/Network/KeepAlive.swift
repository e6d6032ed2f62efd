/// When a connection was heard of last, and what its silence means (MQTT 5.0, section 3.1.2.10).
///
/// A value that compares instants and counts nothing, so that one look is right after a machine was suspended too. Time
/// is given to it.
struct KeepAlive {
    typealias Instant = ContinuousClock.Instant

    /// The finding of a look.
    enum Verdict: Hashable {
        case fine
        /// PINGREQ is due: see ``pinged(end:now:)``.
        case ping
        /// The answer to PINGREQ is overdue.
        case lost
    }

    /// A PINGREQ that has no answer yet.
    private struct Ping {
        /// The number of bytes written up to its end.
        let end: Int
        /// The time that its answer may take.
        let patience: Duration
        /// Since when the answer is waited for: PINGREQ has left, or a byte before it has.
        var since: Instant
    }

    /// The time between two looks: a fifth of the keep-alive, and no more than once a second.
    let interval: Duration
    private let period: Duration
    private var lastSent: Instant
    private var lastReceived: Instant
    private var ping: Ping?
    private var lastDelivered = 0

    /// Looks may be early by a quarter of a second, and late by less.
    private static let slack = Duration.milliseconds(500)
    /// The time that a broker has which should have ended the connection already.
    private static let shortPatience = Duration.seconds(10)

    /// `nil` if there is no keep-alive.
    init?(seconds: Int, now: Instant) {
        guard seconds > 0 else { return nil }
        period = .seconds(seconds)
        interval = max(.seconds(1), period / 5)
        lastSent = now
        lastReceived = now
    }

    /// Bytes were handed to the system.
    mutating func sent(_ now: Instant) { lastSent = now }

    /// Bytes came from the broker: it is alive.
    mutating func received(_ now: Instant) {
        lastReceived = now
        ping = nil
    }

    /// True if nothing has passed for longer than a look's interval.
    func isQuiet(_ now: Instant) -> Bool { now - max(lastSent, lastReceived) > interval }

    /// Looks at the connection.
    ///
    /// - Parameters:
    ///   - delivered: how many of the bytes written so far have left this machine. While they move, a PINGREQ behind
    ///     them cannot be answered yet.
    ///   - isReading: whether an answer would be seen. While reading is paused PINGREQ is sent for the broker's sake
    ///     alone.
    mutating func look(now: Instant, delivered: Int, isReading: Bool) -> Verdict {
        defer { lastDelivered = delivered }
        if !isReading { received(now) }
        guard var ping else {
            // By the next look it could be too late.
            let isDue = now - min(lastSent, lastReceived) + interval + Self.slack >= period
            return isDue ? .ping : .fine
        }
        if lastDelivered < ping.end, delivered > lastDelivered {
            ping.since = now
            self.ping = ping
        }
        return now - ping.since + Self.slack >= ping.patience ? .lost : .fine
    }

    /// PINGREQ was written; `end` is how many bytes had been written with it.
    ///
    /// A broker ends a connection that is silent for one and a half times the keep-alive. Only a machine that was
    /// suspended finds itself so late, and does not wait for all of another keep-alive.
    mutating func pinged(end: Int, now: Instant) {
        let isOverdue = now - lastReceived >= period * 3 / 2
        ping = Ping(end: end, patience: isOverdue ? min(period, Self.shortPatience) : period, since: now)
        lastSent = now
    }
}
