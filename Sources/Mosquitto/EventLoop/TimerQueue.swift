// SPDX-License-Identifier: Apache-2.0

import HeapModule

/// The identifier of a timer; never reused.
struct TimerID: Hashable, Sendable { fileprivate let number: UInt64 }

/// Timers in the order of their deadlines. A cancelled timer is removed from the heap when its deadline comes, or when
/// cancelled timers are the majority.
struct TimerQueue {
    private struct Entry: Comparable {
        let deadline: ContinuousClock.Instant
        let id: TimerID

        static func < (a: Entry, b: Entry) -> Bool { (a.deadline, a.id.number) < (b.deadline, b.id.number) }
    }

    private var heap = Heap<Entry>()
    private var actions: [TimerID: () -> Void] = [:]
    private var last: UInt64 = 0

    mutating func add(at deadline: ContinuousClock.Instant, _ action: @escaping () -> Void) -> TimerID {
        last += 1
        let id = TimerID(number: last)
        heap.insert(Entry(deadline: deadline, id: id))
        actions[id] = action
        return id
    }

    mutating func cancel(_ id: TimerID) {
        guard actions.removeValue(forKey: id) != nil else { return }
        if heap.count > 64, heap.count > 2 * actions.count {
            let live = actions
            heap = Heap(heap.unordered.filter { live[$0.id] != nil })
        }
    }

    /// Returns the deadline of the next timer.
    mutating func nextDeadline() -> ContinuousClock.Instant? {
        while let first = heap.min {
            if actions[first.id] != nil { return first.deadline }
            heap.removeMin()
        }
        return nil
    }

    /// Removes the next due timer and returns its action.
    mutating func popDue(_ now: ContinuousClock.Instant) -> (() -> Void)? {
        guard let deadline = nextDeadline(), deadline <= now else { return nil }
        return actions.removeValue(forKey: heap.removeMin().id)
    }
}
