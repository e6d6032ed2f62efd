// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("A message leaves the queue once, whoever removes it (core 3)", .turn(.units))
struct OutgoingPlaceTests {
    private func publish(_ topic: String, _ qos: MQTTQoS = .atLeastOnce, expiry: UInt32? = nil) -> OutgoingPublish {
        OutgoingPublish(
            topic: topic, payload: [], qos: qos, retain: false,
            properties: MQTTPublishProperties(messageExpiryInterval: expiry))
    }

    /// Withdraws a message that has left, and expects the queue to be as good as new.
    private func expectNothing(of left: OutgoingPublish, in queue: OutgoingQueue) throws {
        #expect(queue.withdraw(left) == .gone)
        #expect(queue.isEmpty)
        #expect(queue.depth == (0, 0))
        #expect(queue.length == 0)
        #expect(!queue.hasExpiring)
        #expect(try queue.post(publish("next")) == true, "the loop is told of the next one")
        #expect(!queue.isEmpty)
        #expect(queue.takeAll().map(\.topic) == ["next"])
        #expect(queue.isEmpty)
    }

    @Test func `a cancellation finds nothing of a message that has expired`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy())
        let late = publish("late", expiry: 1)
        _ = try queue.post(late)
        #expect(queue.removeExpired(.now + .seconds(2)).count == 1)
        try expectNothing(of: late, in: queue)
    }

    @Test func `nor of one that expired while it waited for room`() async throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 1))
        _ = try queue.post(publish("first"))
        let late = publish("late", expiry: 1)
        let outcome = Task {
            await withUnsafeContinuation { (continuation: OutgoingPublish.Continuation) in
                _ = try? queue.post(late, continuation)
            }
        }
        while queue.length < 2 { await Task.yield() }
        let expired = queue.removeExpired(.now + .seconds(2))
        #expect(expired.map(\.topic) == ["late"])
        #expect(queue.takeAll().map(\.topic) == ["first"])
        for publish in expired { publish.complete(.failure(MQTTError(.messageExpired, ""))) }
        await #expect(throws: MQTTError.self) { try await outcome.value.get() }
        try expectNothing(of: late, in: queue)
    }

    @Test func `nor of one that did not want to wait for a connection`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(queuesQoS0Offline: false))
        #expect(queue.setOffline(false).isEmpty)
        let lost = publish("lost", .atMostOnce)
        _ = try queue.post(lost)
        #expect(queue.setOffline(true).count == 1)
        try expectNothing(of: lost, in: queue)
    }

    @Test func `nor of one that made room for another`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 1, whenFull: .dropOldestQoS0))
        let dropped = publish("dropped", .atMostOnce)
        _ = try queue.post(dropped)
        _ = try queue.post(publish("newer"))
        #expect(queue.takeAll().map(\.topic) == ["newer"])
        try expectNothing(of: dropped, in: queue)
    }

    @Test func `nor of one that was given back at the end`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy())
        let left = publish("left", expiry: 9)
        _ = try queue.post(left)
        #expect(queue.close(MQTTError(.stopped, "")).count == 1)
        #expect(queue.withdraw(left) == .gone)
        #expect(queue.isEmpty && !queue.hasExpiring)
    }

    @Test func `nor of one that was refused`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 1, whenFull: .refuse))
        _ = try queue.post(publish("first"))
        let refused = publish("refused", expiry: 9)
        #expect(throws: MQTTError.self) { try queue.post(refused) }
        #expect(queue.withdraw(refused) == .gone)
        #expect(queue.takeAll().count == 1)
        #expect(queue.isEmpty && !queue.hasExpiring)
    }

    @Test func `a lone message that is cancelled before the loop comes does not keep it from the next one`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy())
        let lone = publish("lone")
        #expect(try queue.post(lone) == true)
        #expect(queue.withdraw(lone) == .withdrawn)
        try expectNothing(of: lone, in: queue)
    }

    @Test func `the loop is not told of messages behind those that it has left`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy())
        for number in 0..<3 { _ = try queue.post(publish("\(number)")) }
        var taken: [OutgoingPublish] = []
        var full = OutgoingQueue.Allowance(messages: 10, bytes: 10, acknowledged: 2, exactlyOnce: 0)
        queue.take(256, &full, into: &taken)
        #expect(taken.map(\.topic) == ["0", "1"])
        let hasNext = queue.hasNext(full)
        #expect(!hasNext)
        #expect(try queue.post(publish("3", .atMostOnce)) == false)
        // QoS 0 messages do not overtake others.
        queue.take(256, &full, into: &taken)
        #expect(taken.count == 2)
        #expect(queue.takeAll().map(\.topic) == ["2", "3"])
    }
}

@Suite("Messages of QoS 0 that make room", .turn(.units))
struct DroppedMessageTests {
    private func publish(_ topic: String, _ qos: MQTTQoS = .atMostOnce) -> OutgoingPublish {
        OutgoingPublish(topic: topic, payload: [], qos: qos, retain: false, properties: .init())
    }

    @Test func `are found at once in a long queue (newcomer D4)`() throws {
        let count = 20_000
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: count, whenFull: .dropOldestQoS0))
        for number in 0..<count {
            _ = try queue.post(publish("\(number)", number < 10_000 ? .atLeastOnce : .atMostOnce))
        }
        // Scanning the queue for each would take minutes in a debug build.
        let start = ContinuousClock.now
        for number in 0..<count { _ = try queue.post(publish("new \(number)")) }
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(queue.takeDropped() == count)
        #expect(queue.takeAll(10_001).last?.topic == "new 10000")
    }

    @Test func `have the loop told of the first, and not of each (newcomer D5)`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 2, whenFull: .dropOldestQoS0))
        let told = try (0..<6).map { _ in try queue.post(publish("t")) }
        #expect(told == [true, false, true, false, false, false])
        #expect(queue.takeDropped() == 4)
        #expect(try queue.post(publish("t")) == false)
        #expect(queue.takeDropped() == 1)
        #expect(queue.takeDropped() == 0)
        #expect(try queue.post(publish("t")) == true)
    }
}
