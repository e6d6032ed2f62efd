import Synchronization

/// How fast the clients of one process may come back to a broker together.
///
/// Each client has delays of its own, but a process with thousands of them is one source of load. Attempts after a failure
/// ask the budget; those beyond it wait for their turn, in the order in which they asked. The first attempt of a client and
/// the reconnect of a rotation do not ask.
public final class MQTTRetryBudget: Sendable {
    /// Shared by all clients by default: 100 attempts a second per endpoint, 10 at once.
    public static let shared = MQTTRetryBudget(attemptsPerSecond: 100, burst: 10)

    private let pacer: Pacer
    private let slots = Mutex<[MQTTEndpoint: ContinuousClock.Instant]>([:])

    /// - Parameters:
    ///   - attemptsPerSecond: per endpoint, 0.001 to 1,000,000.
    ///   - burst: how many may come at once after a pause, at least 1.
    public init(attemptsPerSecond: Double, burst: Int) {
        pacer = Pacer(attemptsPerSecond: attemptsPerSecond, burst: burst)
    }

    /// Takes the next turn for this endpoint. Returns how long to wait for it.
    func reserve(_ endpoint: MQTTEndpoint, now: ContinuousClock.Instant) -> Duration {
        slots.withLock { slots in
            if slots.count > 1_024 { slots = slots.filter { $0.value > now } }
            return pacer.reserve(&slots[endpoint, default: now], now: now)
        }
    }
}

/// The generic cell rate algorithm: turns at a constant interval, the first few of which may be taken early.
struct Pacer: Sendable {
    private let interval: Duration
    private let tolerance: Duration

    init(attemptsPerSecond: Double, burst: Int) {
        let rate = attemptsPerSecond.isFinite ? min(max(attemptsPerSecond, 0.001), 1_000_000) : 1_000_000
        interval = .seconds(1 / rate)
        tolerance = interval * min(max(burst, 1) - 1, 1_000_000)
    }

    /// `next` is when the turn after the last one taken is due.
    func reserve(_ next: inout ContinuousClock.Instant, now: ContinuousClock.Instant) -> Duration {
        let due = max(next, now)
        next = due + interval
        return max(.zero, due - tolerance - now)
    }
}
