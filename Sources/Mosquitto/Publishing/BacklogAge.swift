// SPDX-License-Identifier: Apache-2.0

/// The least age of queued messages, without a time for each: a mark tells when the messages up to a number were in the
/// queue. A value: callers pass the time.
struct BacklogAge: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Mark {
        var sequence: UInt64
        var time: Instant
    }

    /// Number of marks at most. Beyond it every second one is discarded, so that ages are less exact.
    static let limit = 32

    /// In the order of their numbers.
    private var marks: [Mark] = []

    /// Records that all queued messages up to `sequence` are in the queue now.
    mutating func note(_ sequence: UInt64, at now: Instant) {
        // An earlier mark for the same messages says more.
        if let last = marks.last, last.sequence >= sequence { return }
        if marks.count == Self.limit {
            marks = marks.enumerated().compactMap { $0.offset.isMultiple(of: 2) ? $0.element : nil }
        }
        marks.append(Mark(sequence: sequence, time: now))
    }

    /// Returns the least age of the oldest message, which has the number `first`; `nil` if there is none.
    mutating func age(of first: UInt64?, now: Instant) -> Duration? {
        guard let first else {
            marks = []
            return nil
        }
        marks.removeAll { $0.sequence < first }
        return marks.first.map { now - $0.time } ?? .zero
    }
}
