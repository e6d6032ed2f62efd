// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A retry budget` {
    private let a = MQTTEndpoint(host: "a", port: 1)
    private let b = MQTTEndpoint(host: "b", port: 1)
    private let now = ContinuousClock.now

    private func waits(_ budget: MQTTRetryBudget, count: Int, at time: ContinuousClock.Instant) -> [Duration] {
        (0..<count).map { _ in budget.reserve(a, now: time) }
    }

    @Test func `lets a burst through at once, and then one per interval`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 10, burst: 3)
        let expected: [Duration] = [.zero, .zero, .zero, .milliseconds(100), .milliseconds(200), .milliseconds(300)]
        #expect(waits(budget, count: 6, at: now) == expected)
    }

    @Test func `spreads 200 clients at once over the time that they need`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 100, burst: 10)
        let waits = waits(budget, count: 200, at: now)
        #expect(waits.prefix(10).allSatisfy { $0 == .zero })
        for (index, wait) in waits.enumerated().dropFirst(10) { #expect(wait == .milliseconds(10) * (index - 9)) }
        #expect(waits.last == .milliseconds(1_900))
    }

    @Test func `does not give more than its rate over any time`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 100, burst: 10)
        var generator = JitterGenerator(seed: 1)
        var time = now
        var turns: [ContinuousClock.Instant] = []
        for _ in 0..<5_000 {
            time += .milliseconds(Int.random(in: 0...15, using: &generator))
            turns.append(time + budget.reserve(a, now: time))
        }
        turns.sort()
        for (turn, later) in zip(turns, turns.dropFirst(110)) { #expect(later - turn >= .milliseconds(999)) }
    }

    @Test func `has recovered after a pause`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 10, burst: 3)
        _ = waits(budget, count: 6, at: now)
        #expect(waits(budget, count: 4, at: now + .seconds(60)) == [.zero, .zero, .zero, .milliseconds(100)])
    }

    @Test func `recovers by one turn per interval`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 10, burst: 3)
        _ = waits(budget, count: 3, at: now)
        #expect(waits(budget, count: 2, at: now + .milliseconds(100)) == [.zero, .milliseconds(100)])
    }

    @Test func `is separate for each endpoint`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 1, burst: 1)
        #expect(budget.reserve(a, now: now) == .zero)
        #expect(budget.reserve(b, now: now) == .zero)
        #expect(budget.reserve(MQTTEndpoint(host: "a", port: 2), now: now) == .zero)
        #expect(budget.reserve(a, now: now) == .seconds(1))
    }

    @Test func `is one for all that share it`() async {
        let budget = MQTTRetryBudget(attemptsPerSecond: 10, burst: 1)
        let (now, a) = (now, a)
        let waits = await withTaskGroup { group in
            for _ in 0..<100 { group.addTask { budget.reserve(a, now: now) } }
            return await group.reduce(into: Set<Duration>()) { $0.insert($1) }
        }
        #expect(waits == Set((0..<100).map { .milliseconds(100) * $0 }))
    }

    @Test func `keeps the turns that were taken, however many endpoints there are`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 1, burst: 1)
        for second in 0..<60 { #expect(budget.reserve(a, now: now) == .seconds(second)) }
        for index in 0..<3_000 { _ = budget.reserve(MQTTEndpoint(host: "host\(index)", port: 1), now: now) }
        #expect(budget.reserve(a, now: now + .seconds(10)) == .seconds(50))
    }

    // MARK: Invalid values

    @Test(arguments: [
        (0, Duration.seconds(1_000)), (-1, .seconds(1_000)), (-0.0, .seconds(1_000)), (1e-300, .seconds(1_000)),
        (1e300, .microseconds(1)), (.infinity, .microseconds(1)), (-.infinity, .microseconds(1)),
        (.nan, .microseconds(1)), (.signalingNaN, .microseconds(1)),
    ])
    func `of a rate that makes no sense is safe`(rate: Double, interval: Duration) {
        let budget = MQTTRetryBudget(attemptsPerSecond: rate, burst: 1)
        #expect(waits(budget, count: 2, at: now) == [.zero, interval])
    }

    @Test(arguments: [0, -1, Int.min])
    func `of no burst lets one through`(burst: Int) {
        let budget = MQTTRetryBudget(attemptsPerSecond: 1, burst: burst)
        #expect(waits(budget, count: 2, at: now) == [.zero, .seconds(1)])
    }

    @Test func `of a boundless burst is safe`() {
        let budget = MQTTRetryBudget(attemptsPerSecond: 0, burst: .max)
        #expect(waits(budget, count: 1_000, at: now).allSatisfy { $0 == .zero })
    }
}
