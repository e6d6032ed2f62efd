// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension Task where Failure == Never {
    /// Creates a task that runs on this thread up to its first suspension: `Task.immediate`, also before macOS 26.
    @discardableResult
    package static func begunHere(_ operation: @escaping @Sendable () async -> Success) -> Task {
        guard #available(macOS 26, *) else { return Task(executorPreference: FirstJobHere(), operation: operation) }
        return immediate(operation: operation)
    }
}

extension Task where Failure == any Error {
    /// Creates a task that runs on this thread up to its first suspension: `Task.immediate`, also before macOS 26.
    @discardableResult
    package static func begunHere(_ operation: @escaping @Sendable () async throws -> Success) -> Task {
        guard #available(macOS 26, *) else { return Task(executorPreference: FirstJobHere(), operation: operation) }
        return immediate(operation: operation)
    }
}

/// The executor of one task: it runs the first job of the task in the call that creates the task, and all others on
/// Swift's pool.
final class FirstJobHere: TaskExecutor {
    private let hasBegun = Atomic(false)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if hasBegun.exchange(true, ordering: .relaxed) {
            globalConcurrentExecutor.enqueue(job)
        } else {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
