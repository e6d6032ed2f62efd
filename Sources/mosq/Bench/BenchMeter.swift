// SPDX-License-Identifier: Apache-2.0

import Histogram
import Synchronization

/// Counts the results of a benchmark's clients, on any thread.
final class BenchMeter: Sendable {
    private struct Span {
        var start: (time: ContinuousClock.Instant, usage: BenchUsage)?
        var end: (time: ContinuousClock.Instant, usage: BenchUsage)?
    }

    /// Number of messages or connections at which the benchmark is complete.
    let goal: Int
    private let given = Atomic(0)
    private let counted = Atomic(0)
    private let bytes = Atomic(0)
    private let failed = Atomic(0)
    private let stopped = Atomic(false)
    private let span = Mutex(Span())
    private let latencies: Mutex<Histogram<UInt64>>
    let firstError = FirstValue<String>()

    init(goal: Int) {
        self.goal = goal
        // Nanoseconds up to an hour; three digits are 0.1 %.
        latencies = Mutex(Histogram(highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three))
    }

    var messages: Int { counted.load(ordering: .relaxed) }
    var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// Starts the clock. Earlier work, such as connecting, is not measured.
    func start() {
        let start = (ContinuousClock.now, BenchUsage.now)
        span.withLock { $0.start = $0.start ?? start }
    }

    /// Stops the clock, and begins no new message.
    func stop() {
        stopped.store(true, ordering: .relaxed)
        let end = (ContinuousClock.now, BenchUsage.now)
        span.withLock { $0.end = $0.end ?? end }
    }

    /// Returns the number of the next message, from 0; `nil` if none is left, and after ``stop()``.
    func takeNumber() -> Int? {
        if isStopped { return nil }
        let number = given.add(1, ordering: .relaxed).oldValue
        return number < goal ? number : nil
    }

    /// Counts a completed message. Returns the number of completed messages.
    @discardableResult
    func count(bytes size: Int, latency: Duration?) -> Int {
        if let latency { record(latency) }
        bytes.add(size, ordering: .relaxed)
        return counted.add(1, ordering: .relaxed).newValue
    }

    func count(messages: Int, bytes size: Int) {
        bytes.add(size, ordering: .relaxed)
        counted.add(messages, ordering: .relaxed)
    }

    func fail(_ error: any Error) {
        failed.add(1, ordering: .relaxed)
        firstError.set("\(error)")
    }

    private func record(_ latency: Duration) {
        let (seconds, attoseconds) = latency.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        let value = min(UInt64(max(0, nanoseconds)), 3_600_000_000_000)
        latencies.withLock { _ = $0.record(value) }
    }

    func report(unit: String) -> BenchReport {
        let span = span.withLock { $0 }
        let usage = BenchUsage.now
        let start = span.start ?? (.now, usage)
        let end = span.end ?? (.now, usage)
        return BenchReport(
            unit: unit, messages: messages, bytes: bytes.load(ordering: .relaxed),
            seconds: max(0, (end.time - start.time) / .seconds(1)), latencies: latencies.withLock { $0 },
            userTime: max(0, end.usage.user - start.usage.user),
            systemTime: max(0, end.usage.system - start.usage.system), peakBytes: BenchUsage.peakBytes,
            errors: failed.load(ordering: .relaxed))
    }
}
