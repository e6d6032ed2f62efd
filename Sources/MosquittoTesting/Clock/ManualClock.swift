// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// A clock that stands still until a test advances it.
///
/// The clock can be used from any thread. Advance it after the code under test has begun to sleep, which
/// ``waitForSleepers(_:timeout:)`` ensures.
public final class ManualClock: Clock {
    /// A point in time, counted from the clock's creation.
    public struct Instant: InstantProtocol {
        /// The time since the clock's creation.
        public let offset: Duration

        /// Creates the instant that is `offset` after the clock's creation.
        public init(offset: Duration = .zero) {
            self.offset = offset
        }

        public func advanced(by duration: Duration) -> Instant {
            Instant(offset: offset + duration)
        }

        public func duration(to other: Instant) -> Duration {
            other.offset - offset
        }

        public static func < (lhs: Instant, rhs: Instant) -> Bool {
            lhs.offset < rhs.offset
        }
    }

    private struct Sleeper {
        let id: UInt64
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Instant
        var nextID: UInt64 = 0
        /// The sleepers in the order in which they wake: by deadline, then by arrival.
        var sleepers: [Sleeper] = []
        /// Sleeps that were cancelled before they registered: a cancellation handler can run first.
        var cancelled: Set<UInt64> = []
    }

    private enum Registration {
        case asleep
        case due
        case cancelled
    }

    private let state: Mutex<State>

    /// Creates a clock that shows `now`.
    public init(now: Instant = Instant()) {
        state = Mutex(State(now: now))
    }

    /// The current time of the clock.
    public var now: Instant { state.withLock { $0.now } }

    /// Always zero: the clock has no granularity.
    public var minimumResolution: Duration { .zero }

    /// Number of tasks that are sleeping on this clock.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// The deadline of the task that wakes first, if any task sleeps.
    public var nextDeadline: Instant? { state.withLock { $0.sleepers.first?.deadline } }

    /// Sleeps until the clock has been advanced to the deadline; returns at once if the deadline is not in the future.
    ///
    /// - Throws: `CancellationError` if the task is cancelled before the deadline.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                switch register(Sleeper(id: id, deadline: deadline, continuation: continuation)) {
                case .asleep: break
                case .due: continuation.resume()
                case .cancelled: continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            cancel(id)
        }
    }

    /// Moves the clock forward and wakes every task whose deadline was reached, earliest deadline first.
    ///
    /// The woken tasks run on their own executors after this call has returned.
    ///
    /// - Parameter duration: The time by which to advance. A negative duration counts as zero.
    public func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: max(duration, .zero))
            let now = state.now
            let end = state.sleepers.firstIndex { $0.deadline > now } ?? state.sleepers.endIndex
            let due = Array(state.sleepers[..<end])
            state.sleepers.removeFirst(end)
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Waits until at least `count` tasks sleep on this clock.
    ///
    /// - Returns: `false` if that did not happen within `timeout` of real time.
    @discardableResult
    public func waitForSleepers(_ count: Int = 1, timeout: Duration = .seconds(10)) async -> Bool {
        await eventually(timeout: timeout, pollEvery: .milliseconds(1)) { sleeperCount >= count }
    }

    private func register(_ sleeper: Sleeper) -> Registration {
        state.withLock { state in
            if state.cancelled.contains(sleeper.id) { return .cancelled }
            if sleeper.deadline <= state.now { return .due }
            let index = state.sleepers.firstIndex { $0.deadline > sleeper.deadline } ?? state.sleepers.endIndex
            state.sleepers.insert(sleeper, at: index)
            return .asleep
        }
    }

    private func cancel(_ id: UInt64) {
        let sleeper: Sleeper? = state.withLock { state in
            guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.sleepers.remove(at: index)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }
}
