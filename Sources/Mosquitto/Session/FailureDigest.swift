/// Keeps the log readable during a long outage: a repeated failure is logged three times, and then every ten minutes
/// with the number of repetitions. A value: callers pass the time.
struct FailureDigest: Sendable {
    enum Verdict: Hashable {
        case tell
        /// A repetition that is not logged.
        case hold
        /// The failure occurred `count` times since it was last logged, over this time.
        case summary(count: Int, over: Duration)
    }

    static let tellings = 3
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
    }

    private struct Count {
        var told = 0
        var held = 0
        var last: ContinuousClock.Instant
    }

    private var counts: [Kind: Count] = [:]

    mutating func verdict(on error: MQTTError, now: ContinuousClock.Instant) -> Verdict {
        let kind = Kind(
            endpoint: error.endpoint, phase: error.phase, code: error.code, reasonCode: error.reasonCode,
            httpStatus: error.httpStatus, tls: error.tls)
        if counts[kind] == nil, counts.count == Self.maximumKinds { counts.removeAll() }
        var count = counts[kind] ?? Count(last: now)
        defer { counts[kind] = count }
        if count.told < Self.tellings {
            count.told += 1
            count.last = now
            return .tell
        }
        count.held += 1
        let time = now - count.last
        guard time >= Self.interval else { return .hold }
        defer {
            count.held = 0
            count.last = now
        }
        return .summary(count: count.held, over: time)
    }

    /// Discards the failures so far: the next ones are logged again.
    mutating func connected() { counts.removeAll() }
}
