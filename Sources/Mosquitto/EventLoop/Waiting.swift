extension Duration {
    /// The longest wait, ten years: more than any process lives, and far from where clocks overflow.
    static let longestWait = Duration.seconds(315_360_000)

    /// A wait of the user's choice, between zero and ``longestWait``: `.seconds(.max)` is a way to say "for ever", and
    /// traps in a clock's arithmetic.
    var clampedToWait: Duration { min(max(self, .zero), .longestWait) }
}

/// The value of `body`, or `nil` once the patience, at most ``Duration/longestWait``, is over or the caller's task is
/// cancelled. The body is cancelled then; one that does not heed that goes on, unheard.
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
