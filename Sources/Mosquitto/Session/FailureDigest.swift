// SPDX-License-Identifier: Apache-2.0

/// Keeps the log of an outage short: one warning at its beginning, one for each further kind of failure, and every ten
/// minutes one with the number of repetitions. A value: callers pass the time.
///
/// An outage begins with the loss of a connection or with the first failed attempt, and ends with a connection.
struct FailureDigest: Sendable {
    enum Verdict: Hashable {
        /// The first failure of its kind.
        case tell
        /// The first failure of its kind that the loss of the connection has announced: a broker that is away refuses
        /// connections, or does not answer.
        case expected
        /// A repetition.
        case hold
        /// The failure occurred `count` times since it was last logged, over this time.
        case summary(count: Int, over: Duration)
    }

    /// An outage that has ended.
    struct Outage: Hashable {
        var failures = 0
        var duration: Duration
    }

    static let interval = Duration.seconds(600)
    /// Maximum number of kinds: more than a client with several endpoints alternates between.
    private static let maximumKinds = 32

    private struct Kind: Hashable {
        var endpoint: String?
        var phase: MQTTError.Phase?
        var code: MQTTError.Code
        var reasonCode: MQTTReasonCode?
        var httpStatus: Int?
        var tls: MQTTTLSFailure?

        init(_ error: MQTTError) {
            endpoint = error.endpoint
            phase = error.phase
            code = error.code
            reasonCode = error.reasonCode
            httpStatus = error.httpStatus
            tls = error.tls
        }
    }

    private struct Count {
        var held = 0
        var last: ContinuousClock.Instant
    }

    private var counts: [Kind: Count] = [:]
    private var failures = 0
    private var start: ContinuousClock.Instant?
    /// True if the outage began with the loss of a connection, which the log has told.
    private var isLoss = false

    /// An established connection has ended, and the log tells so.
    mutating func disconnected(now: ContinuousClock.Instant) {
        start = start ?? now
        isLoss = true
    }

    mutating func verdict(on error: MQTTError, now: ContinuousClock.Instant) -> Verdict {
        let kind = Kind(error)
        start = start ?? now
        failures += 1
        guard var count = counts[kind] else {
            if counts.count == Self.maximumKinds { counts.removeAll() }
            counts[kind] = Count(last: now)
            return isLoss && Self.isAbsence(error) ? .expected : .tell
        }
        defer { counts[kind] = count }
        count.held += 1
        let time = now - count.last
        guard time >= Self.interval else { return .hold }
        defer {
            count.held = 0
            count.last = now
        }
        return .summary(count: count.held, over: time)
    }

    /// Ends the outage, and discards its failures: the next ones are logged again. Returns `nil` if there was none.
    mutating func connected(now: ContinuousClock.Instant) -> Outage? {
        defer { self = FailureDigest() }
        return start.map { Outage(failures: failures, duration: now - $0) }
    }

    /// Returns true for a failure that says no more than that the broker, or the way to it, is not there.
    private static func isAbsence(_ error: MQTTError) -> Bool {
        let codes: [MQTTError.Code] = [.connectionRefused, .networkUnreachable, .timeout, .closed, .keepAliveTimeout]
        return codes.contains(error.code) && error.reasonCode == nil
    }
}
