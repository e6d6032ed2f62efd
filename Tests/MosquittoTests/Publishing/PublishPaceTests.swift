// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The pace of messages` {
    private let start = ContinuousClock.now

    /// The number of messages that leave in each second, if there are always enough.
    private func sent(_ limit: MQTTPublishRate, seconds: Int, size: Int = 10) -> [ContinuousClock.Instant] {
        let pace = PublishPace(limit)
        var times: [ContinuousClock.Instant] = []
        for tick in 0..<seconds * 1_000 {
            let now = start + .milliseconds(tick)
            pace.refill(now: now)
            while pace.permits {
                pace.spend(
                    on: OutgoingPublish(
                        topic: "t", payload: [UInt8](repeating: 0, count: size - 1), qos: .atMostOnce, retain: false,
                        properties: .init()))
                times.append(now)
            }
        }
        return times
    }

    /// The most messages in any second.
    private func most(_ times: [ContinuousClock.Instant]) -> Int {
        var first = 0
        var most = 0
        for index in times.indices {
            while times[index] - times[first] >= .seconds(1) { first += 1 }
            most = max(most, index - first + 1)
        }
        return most
    }

    @Test(arguments: [1.0, 2, 10, 100, 1_000])
    func `is never above the limit in any second, and not far below it`(limit: Double) {
        let times = sent(MQTTPublishRate(messagesPerSecond: limit), seconds: 20)
        #expect(most(times) <= Int(limit))
        #expect(Double(times.count) >= limit * 20 * 0.85)
    }

    @Test func `of less than one a second is kept`() {
        #expect(sent(MQTTPublishRate(messagesPerSecond: 0.5), seconds: 10).count == 5)
    }

    @Test func `of bytes is kept, and a large message waits for nothing but delays the next`() {
        let times = sent(MQTTPublishRate(bytesPerSecond: 10_000), seconds: 20, size: 100)
        #expect(most(times) <= 100)
        let large = sent(MQTTPublishRate(bytesPerSecond: 1_000), seconds: 20, size: 5_000)
        #expect(large.count == 4)
        #expect(large[1] - large[0] > .seconds(5))
    }

    @Test func `of both limits is that of the smaller one`() {
        let limit = MQTTPublishRate(messagesPerSecond: 100, bytesPerSecond: 1_000)
        #expect(most(sent(limit, seconds: 5, size: 100)) <= 10)
    }

    @Test func `names the time until the next message`() {
        let pace = PublishPace(MQTTPublishRate(messagesPerSecond: 1))
        pace.refill(now: start)
        #expect(pace.permits && pace.delay == .zero)
        pace.spend(on: OutgoingPublish(topic: "t", payload: [], qos: .atMostOnce, retain: false, properties: .init()))
        #expect(!pace.permits)
        let delay = pace.delay
        #expect(delay > .seconds(1) && delay < .seconds(1.2))
        pace.refill(now: start + delay + .nanoseconds(1_000))
        #expect(pace.permits)
    }

    @Test func `is not confused by a clock that stands still`() {
        var bucket = TokenBucket(limit: 10)
        bucket.refill(now: start)
        bucket.spend(1)
        bucket.refill(now: start)
        bucket.refill(now: start - .seconds(5))
        #expect(bucket.available == 0)
        bucket.refill(now: start + .seconds(5))
        #expect(bucket.available == 1)
    }

    @Test func `needs a limit in range`() {
        func isValid(_ rate: MQTTPublishRate) -> Bool { (try? rate.validate()) != nil }
        #expect(!isValid(MQTTPublishRate()))
        for limit in [0, -1, .nan, .infinity] { #expect(!isValid(MQTTPublishRate(messagesPerSecond: limit))) }
        for limit in [0, 99] { #expect(!isValid(MQTTPublishRate(bytesPerSecond: limit))) }
        #expect(isValid(MQTTPublishRate(messagesPerSecond: 0.01, bytesPerSecond: 100)))
    }
}
