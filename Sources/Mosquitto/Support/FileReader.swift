// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Reads and inspects files on its own threads: a file system that does not respond blocks its caller, and no call can
/// be cancelled.
///
/// At most one operation per path runs at a time. Callers that arrive meanwhile share the next one: their result is
/// never older than their request. At most ``maximumThreads`` threads run; a timeout frees the caller, not the thread.
package final class FileReader: Sendable {
    package static let shared = FileReader()

    /// The time that a caller waits: no working file system takes longer.
    package static let patience = Duration.seconds(5)

    /// An operation on a path.
    enum Look: Hashable, Sendable {
        case read(limit: Int)
        case stamp
        case directory
    }

    enum Finding: Sendable {
        case content(MQTTSecret, FileExposure? = nil)
        case stamp(FileStamp)
        case directory
        case failure(FileFailure)
    }

    private struct Key: Hashable {
        let path: String
        let look: Look
    }

    private typealias Callback = @Sendable (Finding) -> Void

    private struct State {
        /// Callers whose operation has not begun.
        var waiting: [Key: [UInt64: Callback]] = [:]
        var queue: [Key] = []
        /// Operations that threads are performing.
        var running: Set<Key> = []
        var threads = 0
        var lastCaller: UInt64 = 0
        /// Callers whose operation has begun.
        var served: [UInt64: Callback] = [:]
    }

    private let maximumThreads = 16
    private let state = Mutex(State())
    private let perform: @Sendable (String, Look) -> Finding

    /// - Parameter perform: performs an operation, which may block; replaced in tests.
    init(_ perform: @escaping @Sendable (String, Look) -> Finding = FileReader.look) { self.perform = perform }

    // MARK: Operations

    /// Returns the content of a regular file of at most `limit` bytes. No copy of it remains.
    package func read(
        _ path: String, limit: Int, patience: Duration = FileReader.patience
    ) async throws(FileFailure) -> MQTTSecret {
        try await readWithExposure(path, limit, patience).content
    }

    /// Does the same for a file with a secret, and logs a warning if every user of the machine can read or change it:
    /// see ``SecretFileWarnings``.
    package func readSecret(
        _ path: String, limit: Int, patience: Duration = FileReader.patience
    ) async throws(FileFailure) -> MQTTSecret {
        let (content, exposure) = try await readWithExposure(path, limit, patience)
        if let exposure { SecretFileWarnings.warn(exposure, path) }
        return content
    }

    private func readWithExposure(
        _ path: String, _ limit: Int, _ patience: Duration
    ) async throws(FileFailure) -> (content: MQTTSecret, FileExposure?) {
        switch await find(path, .read(limit: limit), patience) {
        case .content(let content, let exposure): return (content, exposure)
        case .failure(let failure): throw failure
        case .stamp, .directory: throw FileFailure(.overdue(patience))
        }
    }

    /// Returns the stamp of a file; all zero if it does not exist.
    func stamp(_ path: String, patience: Duration = FileReader.patience) async throws(FileFailure) -> FileStamp {
        switch await find(path, .stamp, patience) {
        case .stamp(let stamp): return stamp
        case .failure(let failure): throw failure
        case .content, .directory: throw FileFailure(.overdue(patience))
        }
    }

    /// Throws unless the path is a directory that can be opened.
    func checkDirectory(_ path: String, patience: Duration = FileReader.patience) async throws(FileFailure) {
        if case .failure(let failure) = await find(path, .directory, patience) { throw failure }
    }

    private func find(_ path: String, _ look: Look, _ patience: Duration) async -> Finding {
        let key = Key(path: path, look: look)
        var deadline: Task<Void, Never>?
        let finding = await withCheckedContinuation { continuation in
            let caller = ask(key) { continuation.resume(returning: $0) }
            deadline = Task {
                guard (try? await Task.sleep(for: patience.clampedToWait)) != nil else { return }
                giveUp(caller, key, patience)
            }
        }
        deadline?.cancel()
        // ThreadSanitizer misses the order of a continuation that is resumed before its task suspends. It sees this:
        // the thread has released the lock after it made the finding.
        state.withLock { _ in }
        return finding
    }

    private func ask(_ key: Key, _ answer: @escaping Callback) -> UInt64 {
        let (caller, startsThread) = state.withLock { state in
            state.lastCaller += 1
            let caller = state.lastCaller
            state.waiting[key, default: [:]][caller] = answer
            guard !state.running.contains(key), !state.queue.contains(key) else { return (caller, false) }
            state.queue.append(key)
            guard state.threads < maximumThreads else { return (caller, false) }
            state.threads += 1
            return (caller, true)
        }
        if startsThread, !startThread(name: "mosquitto-file", { [self] in work() }) { threadMissing() }
        return caller
    }

    private func giveUp(_ caller: UInt64, _ key: Key, _ patience: Duration) {
        let callback = state.withLock { state in
            state.served.removeValue(forKey: caller) ?? state.waiting[key]?.removeValue(forKey: caller)
        }
        callback?(.failure(FileFailure(.overdue(patience))))
    }

    /// Handles the failure to create a thread. Running threads carry on with the queue; without any, the queued
    /// operations fail.
    private func threadMissing() {
        let callbacks = state.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [] as [Callback] }
            let keys = state.queue
            state.queue.removeAll()
            return keys.flatMap { (state.waiting.removeValue(forKey: $0) ?? [:]).values }
        }
        for callback in callbacks { callback(.failure(FileFailure(.noThread))) }
    }

    // MARK: The threads

    private func work() {
        while let (key, callers) = next() {
            let finding = callers.isEmpty ? nil : perform(key.path, key.look)
            let callbacks = state.withLock { state in
                state.running.remove(key)
                if !(state.waiting[key]?.isEmpty ?? true) { state.queue.append(key) }
                return callers.compactMap { state.served.removeValue(forKey: $0) }
            }
            guard let finding else { continue }
            for callback in callbacks { callback(finding) }
        }
    }

    private func next() -> (Key, [UInt64])? {
        state.withLock { state in
            if state.queue.isEmpty {
                state.threads -= 1
                return nil
            }
            let key = state.queue.removeFirst()
            let callers = state.waiting.removeValue(forKey: key) ?? [:]
            state.running.insert(key)
            state.served.merge(callers) { $1 }
            return (key, Array(callers.keys))
        }
    }
}
