// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A queue of timers` {
    private let start = ContinuousClock.now

    /// A queue whose timers write their names.
    private final class Fixture {
        var queue = TimerQueue()
        var fired: [Int] = []

        @discardableResult
        func add(_ name: Int, at deadline: ContinuousClock.Instant) -> TimerID {
            queue.add(at: deadline) { [unowned self] in fired.append(name) }
        }

        func run(until now: ContinuousClock.Instant) {
            while let action = queue.popDue(now) { action() }
        }
    }

    @Test func `fires in the order of the deadlines, and of their setting where they are equal`() {
        let fixture = Fixture()
        for (name, second) in [(1, 3), (2, 1), (3, 2), (4, 1), (5, 1)] {
            fixture.add(name, at: start + .seconds(second))
        }
        fixture.run(until: start + .seconds(3))
        #expect(fixture.fired == [2, 4, 5, 3, 1])
    }

    @Test func `fires nothing early`() {
        let fixture = Fixture()
        fixture.add(1, at: start + .seconds(1))
        fixture.run(until: start + .milliseconds(999))
        #expect(fixture.fired == [])
        fixture.run(until: start + .seconds(1))
        #expect(fixture.fired == [1])
        #expect(fixture.queue.nextDeadline() == nil)
    }

    @Test func `a cancelled timer neither fires nor counts as the next`() {
        let fixture = Fixture()
        let first = fixture.add(1, at: start + .seconds(1))
        fixture.add(2, at: start + .seconds(2))
        fixture.queue.cancel(first)
        #expect(fixture.queue.nextDeadline() == start + .seconds(2))
        fixture.run(until: start + .seconds(9))
        #expect(fixture.fired == [2])
    }

    @Test func `cancelling what has fired or was cancelled does nothing`() {
        let fixture = Fixture()
        let first = fixture.add(1, at: start)
        fixture.run(until: start)
        fixture.queue.cancel(first)
        let second = fixture.add(2, at: start)
        fixture.queue.cancel(second)
        fixture.queue.cancel(second)
        fixture.add(3, at: start)
        fixture.run(until: start)
        #expect(fixture.fired == [1, 3])
    }

    @Test func `a timer can set another`() {
        let fixture = Fixture()
        let now = start
        _ = fixture.queue.add(at: now) { fixture.add(2, at: now) }
        fixture.run(until: now)
        #expect(fixture.fired == [2])
    }

    @Test(arguments: UInt64(0)..<8)
    func `does what a sorted list does`(seed: UInt64) {
        var generator = JitterGenerator(seed: seed)
        let fixture = Fixture()
        var model: [(deadline: ContinuousClock.Instant, name: Int, id: TimerID)] = []
        var expected: [Int] = []
        var now = start
        for name in 0..<5_000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                let deadline = now + .milliseconds(Int.random(in: 0...1_000, using: &generator))
                model.append((deadline, name, fixture.add(name, at: deadline)))
            case 5..<9:
                // Most timers of a client are cancelled.
                guard !model.isEmpty else { continue }
                fixture.queue.cancel(model.remove(at: Int.random(in: 0..<model.count, using: &generator)).id)
            default:
                now += .milliseconds(Int.random(in: 0...200, using: &generator))
                let due = model.filter { $0.deadline <= now }.sorted { ($0.deadline, $0.name) < ($1.deadline, $1.name) }
                expected += due.map(\.name)
                model.removeAll { $0.deadline <= now }
                fixture.run(until: now)
            }
            #expect(fixture.queue.nextDeadline() == model.map(\.deadline).min())
        }
        #expect(fixture.fired == expected)
    }
}
