import Synchronization

/// Reads files, and looks at them, on threads of its own: a file system that does not answer blocks whoever asks it,
/// and no call can be cancelled.
///
/// One look at a path is under way at a time. Callers that come while one is share the next: what they get is never
/// older than their question. At most ``maximumThreads`` threads run; an end of the patience frees the caller, not the
/// thread.
package final class FileReader: Sendable {
    package static let shared = FileReader()

    /// The time that a caller waits: no file system that works takes so long.
    package static let patience = Duration.seconds(5)

    /// Something that is done with a path.
    enum Look: Hashable, Sendable {
        case read(limit: Int)
        case stamp
        case directory
    }

    enum Finding: Sendable {
        case content(MQTTSecret)
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
        /// Callers whose look has not begun.
        var waiting: [Key: [UInt64: Callback]] = [:]
        var queue: [Key] = []
        /// Looks that threads are busy with.
        var running: Set<Key> = []
        var threads = 0
        var lastCaller: UInt64 = 0
        /// Callers of looks that have begun.
        var served: [UInt64: Callback] = [:]
    }

    private let maximumThreads = 16
    private let state = Mutex(State())
    private let perform: @Sendable (String, Look) -> Finding

    /// - Parameter perform: does the work, which may block; another one in tests.
    init(_ perform: @escaping @Sendable (String, Look) -> Finding = FileReader.look) { self.perform = perform }

    // MARK: Questions

    /// The content of a regular file that has at most `limit` bytes. No copy of it is left behind.
    package func read(
        _ path: String, limit: Int, patience: Duration = FileReader.patience
    ) async throws(FileFailure) -> MQTTSecret {
        switch await find(path, .read(limit: limit), patience) {
        case .content(let content): return content
        case .failure(let failure): throw failure
        case .stamp, .directory: throw FileFailure(.overdue(patience))
        }
    }

    /// All zero for what is not there.
    func stamp(_ path: String, patience: Duration = FileReader.patience) async throws(FileFailure) -> FileStamp {
        switch await find(path, .stamp, patience) {
        case .stamp(let stamp): return stamp
        case .failure(let failure): throw failure
        case .content, .directory: throw FileFailure(.overdue(patience))
        }
    }

    /// Throws unless it is a directory that can be opened.
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

    /// The system has no room for another thread. The threads that run go on with the queue; without any it is failed.
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
