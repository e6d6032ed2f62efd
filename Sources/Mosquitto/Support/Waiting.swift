// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// The duration in whole milliseconds, for logs.
    var inMilliseconds: Duration {
        let (seconds, attoseconds) = components
        let millisecond: Int64 = 1_000_000_000_000_000
        return Duration(
            secondsComponent: seconds, attosecondsComponent: attoseconds / millisecond * millisecond)
    }

    /// The longest wait, ten years: longer than any process lives, and far below the range in which clocks overflow.
    static let longestWait = Duration.seconds(315_360_000)

    /// A wait chosen by the user, clamped to zero ... ``longestWait``: users write `.seconds(.max)` for "for ever",
    /// which traps in a clock's arithmetic.
    var clampedToWait: Duration { min(max(self, .zero), .longestWait) }
}

/// Returns the value of `body`, or `nil` if the patience, at most ``Duration/longestWait``, runs out or the caller's
/// task is cancelled. The body is then cancelled; if it ignores the cancellation, it continues and its value is
/// discarded.
func within<Value: Sendable>(_ patience: Duration, _ body: @escaping @Sendable () async -> Value) async -> Value? {
    let (values, continuation) = AsyncStream.makeStream(of: Value.self)
    let working = Task {
        continuation.yield(await body())
        continuation.finish()
    }
    let waiting = Task {
        try await Task.sleep(for: patience.clampedToWait)
        continuation.finish()
    }
    defer {
        working.cancel()
        waiting.cancel()
    }
    for await value in values { return value }
    return nil
}
