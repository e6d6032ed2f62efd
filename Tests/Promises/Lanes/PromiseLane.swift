// SPDX-License-Identifier: Apache-2.0

package import MosquittoTesting

/// A test of a guarantee that random cuts do not exercise: a scene with its own brokers, clients and faults, repeated
/// until its time is over.
package struct PromiseLane: Sendable, CustomStringConvertible {
    package let name: String
    /// The guarantee that the lane checks, in a sentence.
    package let statement: String
    let body: @Sendable (LaneRun) async throws -> Void

    package static let all = [fullConsumers, largePublishes, poison, nineFilters, hangingProvider]

    package var description: String { name }

    /// Time that a lane may run over. A client that hangs fails the lane, instead of keeping it running for ever.
    private static let patience = Duration.seconds(60)

    /// Runs the lane and returns its counts. Throws ``PromiseFailure`` with the first guarantee that was violated.
    @discardableResult
    package func run(
        seed: UInt64, duration: Duration, slack: Duration = .zero,
        onBroker: @escaping @Sendable (LocalMosquitto) -> Void = { _ in }
    ) async throws -> [LaneRun.Count] {
        let run = LaneRun(seed: seed, duration: duration, slack: slack, onBroker: onBroker)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body(run) }
                group.addTask {
                    try await Task.sleep(for: duration + Self.patience + slack)
                    throw PromiseFailure(
                        "it has not ended \(Self.patience + slack) after its time; so far \(run.counts)")
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
