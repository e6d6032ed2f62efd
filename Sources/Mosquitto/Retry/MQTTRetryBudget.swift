// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A limit on the rate at which the clients of a process reconnect to a broker.
///
/// Each client has its own delays, but a process with thousands of clients is a single source of load. Attempts after a
/// failure draw from the budget; attempts beyond it wait for their turn in the order of their requests. A client's
/// first attempt and the reconnect of a rotation do not draw from the budget.
public final class MQTTRetryBudget: Sendable {
    /// The default budget, shared by all clients: 100 attempts per second and endpoint, in bursts of up to 10.
    public static let shared = MQTTRetryBudget(attemptsPerSecond: 100, burst: 10)

    private let pacer: Pacer
    private let slots = Mutex<[MQTTEndpoint: ContinuousClock.Instant]>([:])

    /// - Parameters:
    ///   - attemptsPerSecond: per endpoint, 0.001 to 1,000,000.
    ///   - burst: number of attempts allowed at once after a pause, at least 1.
    public init(attemptsPerSecond: Double, burst: Int) {
        pacer = Pacer(attemptsPerSecond: attemptsPerSecond, burst: burst)
    }

    /// Reserves the next turn for this endpoint. Returns the time to wait for it.
    func reserve(_ endpoint: MQTTEndpoint, now: ContinuousClock.Instant) -> Duration {
        slots.withLock { slots in
            if slots.count > 1_024 { slots = slots.filter { $0.value > now } }
            return pacer.reserve(&slots[endpoint, default: now], now: now)
        }
    }
}

/// The generic cell rate algorithm: turns at a constant interval, of which the first few may be taken early.
struct Pacer: Sendable {
    private let interval: Duration
    private let tolerance: Duration

    init(attemptsPerSecond: Double, burst: Int) {
        let rate = attemptsPerSecond.isFinite ? min(max(attemptsPerSecond, 0.001), 1_000_000) : 1_000_000
        interval = .seconds(1 / rate)
        tolerance = interval * min(max(burst, 1) - 1, 1_000_000)
    }

    /// Reserves a turn. `next`: the time at which the turn after the last reserved one is due.
    func reserve(_ next: inout ContinuousClock.Instant, now: ContinuousClock.Instant) -> Duration {
        let due = max(next, now)
        next = due + interval
        return max(.zero, due - tolerance - now)
    }
}
