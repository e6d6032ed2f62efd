/// When each message of a benchmark is due.
struct BenchPace: Sendable {
    private let start = ContinuousClock.now
    private let interval: Duration?

    /// - Parameter rate: messages a second; `nil` for as fast as can be.
    init(rate: Double?) { interval = rate.map { .seconds(1 / $0) } }

    /// Waits until the message is due, and returns the time from which its latency counts.
    ///
    /// For a message that comes too late it is when it was due: otherwise a stall would hide the waiting of all that
    /// come after it. What this process oversleeps, up to a millisecond, is not the broker's.
    func wait(for number: Int) async throws -> ContinuousClock.Instant {
        guard let interval else { return .now }
        let due = start + interval * number
        guard due > .now else { return due }
        try await Task.sleep(until: due, tolerance: .zero, clock: .continuous)
        return .now
    }
}
