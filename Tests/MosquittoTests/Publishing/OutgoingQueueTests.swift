// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The outgoing queue` {
    private func publish(
        _ topic: String = "t", _ qos: MQTTQoS = .atLeastOnce, bytes: Int = 0, expiry: UInt32? = nil
    ) -> OutgoingPublish {
        OutgoingPublish(
            topic: topic, payload: [UInt8](repeating: 0, count: bytes), qos: qos, retain: false,
            properties: MQTTPublishProperties(messageExpiryInterval: expiry))
    }

    private func queue(_ maximumMessages: Int = 10, _ whenFull: MQTTQueuePolicy.WhenFull = .refuse) -> OutgoingQueue {
        OutgoingQueue(MQTTQueuePolicy(maximumMessages: maximumMessages, whenFull: whenFull))
    }

    /// Publishes as a caller does that waits for the outcome.
    private func post(_ publish: OutgoingPublish, to queue: OutgoingQueue) async -> OutgoingPublish.Outcome {
        await withUnsafeContinuation { continuation in
            do throws(MQTTError) {
                _ = try queue.post(publish, continuation)
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
    }

    @Test func `has the loop told once until it takes something`() throws {
        let queue = queue()
        #expect(try queue.post(publish()) == true)
        #expect(try queue.post(publish()) == false)
        #expect(queue.takeAll(10).count == 2)
        #expect(try queue.post(publish()) == true)
    }

    @Test func `keeps the order, a few at a time`() throws {
        let queue = queue()
        for name in ["1", "2", "3"] { _ = try queue.post(publish(name)) }
        #expect(queue.takeAll(2).map(\.topic) == ["1", "2"])
        #expect(queue.takeAll(2).map(\.topic) == ["3"])
        #expect(queue.takeAll(2).isEmpty)
    }

    @Test func `is full at its number of messages, and names it`() throws {
        let queue = queue(2)
        for _ in 0..<2 { _ = try queue.post(publish()) }
        let error = #expect(throws: MQTTError.self) { try queue.post(publish()) }
        #expect(error?.code == .queueFull)
        #expect(error?.message.contains("2 messages") == true)
    }

    @Test func `is full at its number of bytes, but one message always fits`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumBytes: 10_000, whenFull: .refuse))
        _ = try queue.post(publish(bytes: 100_000))
        #expect(throws: MQTTError.self) { try queue.post(publish(bytes: 1)) }
        #expect(queue.takeAll(1).count == 1)
        #expect(queue.depth.bytes == 0)
        _ = try queue.post(publish("t", bytes: 5_000))
        let rest = 10_000 - queue.depth.bytes
        let own = publish("t", bytes: 1).memorySize - 1
        _ = try queue.post(publish("t", bytes: rest - own))
        #expect(queue.depth.bytes == 10_000)
        #expect(throws: MQTTError.self) { try queue.post(publish("t")) }
    }

    @Test func `a message that the loop has taken counts no more (newcomer D5)`() throws {
        let queue = queue(2, .dropOldestQoS0)
        for _ in 0..<2 { _ = try queue.post(publish("old", .atMostOnce)) }
        #expect(queue.takeAll(10).count == 2)
        for _ in 0..<2 { _ = try queue.post(publish("new", .atMostOnce)) }
        #expect(queue.takeDropped() == 0)
        #expect(queue.depth.messages == 2)
    }

    @Test func `suspends a caller until there is room, in the order of the calls`() async throws {
        let queue = queue(1, .suspend)
        _ = try queue.post(publish("0"))
        #expect(throws: MQTTError.self) { try queue.post(publish("enqueued")) }
        let callers = (1...3).map { number in publish("\(number)") }
        // One after the other: tasks would not preserve the order.
        var outcomes: [Task<OutgoingPublish.Outcome, Never>] = []
        for caller in callers {
            outcomes.append(Task { await post(caller, to: queue) })
            while queue.length < outcomes.count + 1 { await Task.yield() }
        }
        #expect(queue.depth.messages == 1)
        var order: [String] = []
        while !queue.isEmpty {
            let taken = queue.takeAll(10)
            order += taken.map(\.topic)
            for publish in taken { publish.complete(.success(.success)) }
        }
        #expect(order == ["0", "1", "2", "3"])
        for outcome in outcomes { _ = try await outcome.value.get() }
    }

    @Test func `drops the oldest of QoS 0 for a newer message`() async throws {
        let queue = queue(3, .dropOldestQoS0)
        let first = publish("1", .atMostOnce)
        let outcome = Task { await post(first, to: queue) }
        while queue.isEmpty { await Task.yield() }
        _ = try queue.post(publish("2"))
        _ = try queue.post(publish("3", .atMostOnce))
        _ = try queue.post(publish("4"))
        let dropped = await outcome.value
        #expect(throws: MQTTError.self) { try dropped.get() }
        _ = try queue.post(publish("5"))
        let error = #expect(throws: MQTTError.self) { try queue.post(publish("6")) }
        #expect(error?.code == .queueFull)
        #expect(queue.depth.messages == 3)
        #expect(queue.takeAll(10).map(\.topic) == ["2", "4", "5"])
    }

    @Test func `drops nothing for a message that has no room all the same`() throws {
        let queue = OutgoingQueue(
            MQTTQueuePolicy(maximumMessages: 10, maximumBytes: 10_000, whenFull: .dropOldestQoS0))
        _ = try queue.post(publish("1", .atMostOnce, bytes: 2_000))
        _ = try queue.post(publish("2", bytes: 6_000))
        #expect(throws: MQTTError.self) { try queue.post(publish("3", bytes: 5_000)) }
        #expect(queue.depth.messages == 2)
        _ = try queue.post(publish("4", bytes: 3_000))
        #expect(queue.takeAll(10).map(\.topic) == ["2", "4"])
    }

    @Test func `a cancelled message is gone, wherever it waits`() async throws {
        let queue = queue(1, .suspend)
        let messages = (0..<3).map { publish("\($0)") }
        var outcomes: [Task<OutgoingPublish.Outcome, Never>] = []
        for message in messages {
            outcomes.append(Task { await post(message, to: queue) })
            while queue.length < outcomes.count { await Task.yield() }
        }
        #expect(queue.withdraw(messages[1]) == .withdrawn)
        #expect(queue.withdraw(messages[0]) == .withdrawn)
        #expect(queue.takeAll(10).map(\.topic) == ["2"])
        #expect(queue.withdraw(messages[2]) == .taken)
        for outcome in outcomes.prefix(2) {
            let outcome = await outcome.value
            let error = #expect(throws: MQTTError.self) { try outcome.get() }
            #expect(error?.code == .cancelled)
        }
        messages[2].complete(.success(.success))
        let unposted = publish("unposted")
        #expect(queue.withdraw(unposted) == .unposted)
        #expect(throws: MQTTError.self) { try queue.post(unposted) }
    }

    @Test func `what has expired is taken out, and makes room`() throws {
        let queue = queue(2)
        #expect(!queue.hasExpiring)
        _ = try queue.post(publish("1", expiry: 5))
        _ = try queue.post(publish("2"))
        #expect(queue.hasExpiring)
        #expect(queue.removeExpired(.now + .seconds(4)).isEmpty)
        #expect(queue.removeExpired(.now + .seconds(6)).map(\.topic) == ["1"])
        #expect(!queue.hasExpiring)
        _ = try queue.post(publish("3"))
        #expect(queue.takeAll(10).map(\.topic) == ["2", "3"])
    }

    @Test func `the first message that expires has the loop told`() throws {
        let queue = queue()
        #expect(try queue.post(publish()) == true)
        #expect(try queue.post(publish(expiry: 5)) == true)
        #expect(try queue.post(publish(expiry: 5)) == false)
    }

    @Test func `of the expiry interval, what is left is sent, a begun second counted`() {
        let publish = publish(expiry: 10)
        let sent = publish.expiry.map { $0 - .milliseconds(8_500) }
        #expect(sent.map { publish.remainingExpiryInterval($0) } == 9)
        #expect(publish.expiry.map { publish.hasExpired($0) } == true)
        #expect(self.publish().remainingExpiryInterval(.now) == nil)
    }

    @Test func `without a connection QoS 0 waits, or does not`() throws {
        let waiting = queue()
        _ = try waiting.post(publish("t", .atMostOnce))
        let policy = MQTTQueuePolicy(queuesQoS0Offline: false)
        let queue = OutgoingQueue(policy)
        let error = #expect(throws: MQTTError.self) { try queue.post(publish("t", .atMostOnce)) }
        #expect(error?.code == .notConnected)
        _ = try queue.post(publish("1"))
        #expect(queue.setOffline(false).isEmpty)
        _ = try queue.post(publish("2", .atMostOnce))
        #expect(queue.setOffline(true).map(\.topic) == ["2"])
        #expect(queue.takeAll(10).map(\.topic) == ["1"])
    }

    @Test func `gives back what waits when it is closed, and takes nothing more`() throws {
        let queue = queue()
        _ = try queue.post(publish("left"))
        #expect(queue.close(MQTTError(.stopped, "over")).map(\.topic) == ["left"])
        let error = #expect(throws: MQTTError.self) { try queue.post(publish()) }
        #expect(error?.code == .stopped)
        #expect(queue.takeAll(10).isEmpty)
        #expect(queue.depth == (0, 0))
    }

    @Test func `loses and doubles nothing that many threads post`() async throws {
        let queue = queue(100_000)
        let posting = Task {
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for number in 0..<1_000 {
                            _ = try? queue.post(self.publish("\(worker)/\(number)", .atMostOnce))
                        }
                    }
                }
            }
        }
        var topics: [String] = []
        while topics.count < 4_000 {
            let taken = queue.takeAll(256)
            topics += taken.map(\.topic)
            await Task.yield()
        }
        await posting.value
        #expect(Set(topics).count == 4_000)
        #expect(queue.isEmpty)
        #expect(queue.depth == (0, 0))
        for worker in 0..<4 {
            let own = topics.filter { $0.hasPrefix("\(worker)/") }
            #expect(own == (0..<1_000).map { "\(worker)/\($0)" })
        }
    }
}

extension OutgoingQueue {
    /// Takes messages without any other limit.
    func takeAll(_ limit: Int = .max) -> [OutgoingPublish] {
        var taken: [OutgoingPublish] = []
        var allowance = Allowance(messages: .max, bytes: .max, acknowledged: .max, exactlyOnce: .max)
        take(min(limit, length), &allowance, into: &taken)
        return taken
    }
}
