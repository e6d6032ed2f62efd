// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Returns the result of `body`, or `nil` once the limit has passed. `body` is then cancelled, but not awaited.
func within<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
    await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
        let answer = Answer(continuation)
        let work = Task { answer.give(await body()) }
        Task {
            try? await Task.sleep(for: limit)
            if answer.give(nil) { work.cancel() }
        }
    }
}

/// A continuation that the first caller resumes.
private final class Answer<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value?, Never>?>

    init(_ continuation: CheckedContinuation<Value?, Never>) { self.continuation = Mutex(continuation) }

    @discardableResult
    func give(_ value: Value?) -> Bool {
        let waiting = continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        waiting?.resume(returning: value)
        return waiting != nil
    }
}
