// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A task that begins where it is created` {
    @Test func `has run up to its first suspension when the call returns`() async throws {
        let hasBegun = Atomic(false)
        let task = Task<Int, any Error>.begunHere {
            hasBegun.store(true, ordering: .relaxed)
            await Task.yield()
            return 1
        }
        let hasBegunHere = hasBegun.load(ordering: .relaxed)
        #expect(hasBegunHere)
        #expect(try await task.value == 1)
    }

    /// The executor that stands in for `Task.immediate` before macOS 26.
    @Test func `begins in the call on an executor that runs the first job there, and goes on in the pool`() async {
        for _ in 0..<100 {
            let steps = Mutex(0)
            let (signals, signal) = AsyncStream.makeStream(of: Void.self)
            let task = Task(executorPreference: FirstJobHere()) {
                steps.withLock { $0 += 1 }
                for await _ in signals { break }
                for _ in 0..<3 { await Task.yield() }
                return steps.withLock { $0 }
            }
            steps.withLock {
                #expect($0 == 1)
                $0 += 1
            }
            signal.yield()
            #expect(await task.value == 2)
        }
    }
}
