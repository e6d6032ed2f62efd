// SPDX-License-Identifier: Apache-2.0

/// Waits until a condition holds, and returns whether it did.
///
/// The timeout counts only the time during which the process runs: a late poll counts as at most ten pauses, or 100 ms.
/// On a busy machine the wait may therefore take longer than the timeout.
///
/// - Parameters:
///   - timeout: Maximum time to wait, by default 30 seconds. The condition is evaluated once more at its end.
///   - pollEvery: The pause between two evaluations, by default 5 milliseconds.
///   - isolation: The caller's isolation, so that the condition may read the caller's own state.
///   - condition: The condition to wait for.
/// - Returns: `true` as soon as the condition holds, `false` after the timeout or when the task is cancelled.
/// - Throws: Errors of the condition.
public func eventually(
    timeout: Duration = .seconds(30),
    pollEvery: Duration = .milliseconds(5),
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let longestPause = max(pollEvery * 10, .milliseconds(100))
    var left = timeout
    while true {
        let isLast = left <= .zero
        let start = ContinuousClock.now
        if try await condition() { return true }
        if isLast || Task.isCancelled { return false }
        let evaluated = ContinuousClock.now
        try? await Task.sleep(for: pollEvery)
        left -= evaluated - start + min(ContinuousClock.now - evaluated, longestPause)
    }
}
