// SPDX-License-Identifier: Apache-2.0

/// The due time of each message of a benchmark.
struct BenchPace: Sendable {
    private let start = ContinuousClock.now
    private let interval: Duration?

    /// - Parameter rate: messages a second; `nil` for the highest possible rate.
    init(rate: Double?) { interval = rate.map { .seconds(1 / $0) } }

    /// Waits until the message is due, and returns the time from which its latency counts.
    ///
    /// The latency of a late message counts from its due time: otherwise a stall would hide the wait of all later
    /// messages. If this process oversleeps, by up to a millisecond, the latency counts from the wake-up, since the
    /// delay is not the broker's.
    func wait(for number: Int) async throws -> ContinuousClock.Instant {
        guard let interval else { return .now }
        let due = start + interval * number
        guard due > .now else { return due }
        try await Task.sleep(until: due, tolerance: .zero, clock: .continuous)
        return .now
    }
}
