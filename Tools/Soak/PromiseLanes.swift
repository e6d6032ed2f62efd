// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MosquittoTesting
import Promises
import Synchronization

#if os(Linux)
import Glibc

extension PromisesSoak {
    /// Runs all lanes, even if one fails: each checks a separate guarantee.
    func runLanes(_ lanes: [PromiseLane]) async throws {
        let brokers = Mutex<[LocalMosquitto]>([])
        let signals = EndingSignals { for broker in brokers.withLock({ $0 }) { broker.kill() } }
        defer { withExtendedLifetime(signals) {} }
        var hasFailed = false
        for lane in lanes {
            let start = ContinuousClock.now
            print("\n\(lane.name): \(lane.statement)")
            fflush(nil)
            do {
                let before = try await Footprint.settled()
                let counts = try await lane.run(seed: seed, duration: .seconds(minutes * 6)) { broker in
                    brokers.withLock { $0 = [broker] }
                }
                let after = try await Footprint.settled()
                try check(before, after)
                let list = counts.map(\.description).joined(separator: ", ")
                print("kept in \((ContinuousClock.now - start).components.seconds) s with seed \(seed): \(list)")
            } catch let failure as PromiseFailure {
                print("failed: \(failure)")
                hasFailed = true
            }
            fflush(nil)
        }
        if hasFailed { throw ExitCode.failure }
    }

    /// A lane's clients end with the lane. Swift's pool may have gained a thread.
    private func check(_ before: Footprint, _ after: Footprint) throws {
        // The first lane starts the shared loop; the resolver keeps its threads for a while.
        if before.libraryThreads > 0, after.libraryThreads > before.libraryThreads {
            throw PromiseFailure("the library's threads grew from \(before.libraryThreads) to \(after.libraryThreads)")
        }
        if before.libraryThreads > 0, after.descriptors > before.descriptors {
            throw PromiseFailure("the descriptors grew from \(before.descriptors) to \(after.descriptors)")
        }
    }
}
#endif
