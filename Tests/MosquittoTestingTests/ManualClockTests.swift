// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@Suite(.turn(.tools)) struct ManualClockTests {
    @Test func `Sleepers wake at their deadlines, not before`() async throws {
        let clock = ManualClock()
        let (woken, wake) = AsyncStream.makeStream(of: Int.self)
        for seconds in [3, 1, 2] {
            Task {
                try await clock.sleep(for: .seconds(seconds))
                wake.yield(seconds)
            }
        }
        #expect(await clock.waitForSleepers(3))
        var iterator = woken.makeAsyncIterator()
        for seconds in 1...3 {
            #expect(clock.nextDeadline == ManualClock.Instant(offset: .seconds(seconds)))
            clock.advance(by: .milliseconds(999))
            #expect(clock.sleeperCount == 4 - seconds)
            clock.advance(by: .milliseconds(1))
            #expect(clock.sleeperCount == 3 - seconds)
            #expect(await iterator.next() == seconds)
        }
    }

    @Test func `A cancelled sleeper throws and is forgotten`() async {
        let clock = ManualClock()
        let task = Task { try await clock.sleep(for: .seconds(1)) }
        #expect(await clock.waitForSleepers())
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
    }

    @Test func `A sleep that begins cancelled throws, one that is due returns`() async throws {
        let clock = ManualClock()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(for: .seconds(1))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        try await clock.sleep(until: clock.now)
    }
}
