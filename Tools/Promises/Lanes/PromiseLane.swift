package import MosquittoTesting

/// A promise that random cuts do not try: a scene with its own brokers, clients and faults, repeated until its time is over.
package struct PromiseLane: Sendable, CustomStringConvertible {
    package let name: String
    /// What is checked, in a sentence.
    package let statement: String
    let body: @Sendable (LaneRun) async throws -> Void

    package static let all = [fullConsumers, largePublishes, poison, nineFilters, hangingProvider]

    package var description: String { name }

    /// How long a lane may go on after its time: a client that hangs is a broken promise, not a lane that never ends.
    private static let patience = Duration.seconds(60)

    /// Returns what was counted. Throws ``PromiseFailure`` with the first promise that is broken.
    @discardableResult
    package func run(
        seed: UInt64, duration: Duration, onBroker: @escaping @Sendable (LocalMosquitto) -> Void = { _ in }
    ) async throws -> [LaneRun.Count] {
        let run = LaneRun(seed: seed, duration: duration, onBroker: onBroker)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body(run) }
                group.addTask {
                    try await Task.sleep(for: duration + Self.patience)
                    throw PromiseFailure("it has not ended \(Self.patience) after its time; so far \(run.counts)")
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch let failure as PromiseFailure {
            throw PromiseFailure("\(name), seed \(seed): \(failure)")
        } catch {
            throw PromiseFailure("\(name), seed \(seed): \(error)")
        }
        return run.counts
    }
}
