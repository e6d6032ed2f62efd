/// Waits until a condition holds, and returns true if it does.
///
/// - Parameters:
///   - timeout: The time limit. The condition is evaluated once more after the deadline.
///   - pollEvery: The pause between two evaluations.
///   - isolation: The caller's isolation, so that the condition may read the caller's own state.
///   - condition: The condition.
/// - Returns: `true` as soon as the condition holds, `false` after the timeout or when the task is cancelled.
/// - Throws: The error of the condition.
public func eventually(
    timeout: Duration = .seconds(30),
    pollEvery: Duration = .milliseconds(5),
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let deadline = ContinuousClock.now + timeout
    while true {
        let isLast = ContinuousClock.now >= deadline
        if try await condition() { return true }
        if isLast || Task.isCancelled { return false }
        try? await Task.sleep(for: pollEvery)
    }
}
