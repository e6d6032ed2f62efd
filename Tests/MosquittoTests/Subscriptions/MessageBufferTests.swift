// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The messages of a subscription` {
    private let wakes = Mutexed(0)

    private func buffer(capacity: Int = 4, _ whenFull: MQTTBufferPolicy.WhenFull = .pauseReading) -> MessageBuffer {
        MessageBuffer(["#"], policy: MQTTBufferPolicy(capacity: capacity, whenFull: whenFull)) { [wakes] in
            wakes.update { $0 += 1 }
        }
    }

    private func messages(_ range: Range<Int>, bytes: Int = 0) -> [IncomingMessage] {
        range.map {
            IncomingMessage(
                message: MQTTMessage(
                    topic: "\($0)", payload: [UInt8](repeating: 0, count: bytes), qos: .atMostOnce))
        }
    }

    private func rest(_ buffer: MessageBuffer) async -> [String] {
        buffer.finish()
        var topics: [String] = []
        for await message in MQTTMessages(buffer: buffer, grantedReasonCodes: []) { topics.append(message.topic) }
        return topics
    }

    @Test func `are all handled when the consumer asks for another one`() async throws {
        let buffer = buffer()
        _ = buffer.append(messages(0..<2))
        #expect(buffer.received == 2)
        let hasHandled = Mutexed(false)
        let waiting = Task {
            await buffer.untilHandled()
            hasHandled.update { $0 = true }
        }
        #expect(await buffer.next(isolation: nil)?.topic == "0")
        #expect(await buffer.next(isolation: nil)?.topic == "1")
        #expect(!hasHandled.value)
        let consumer = Task { await buffer.next(isolation: nil)?.topic }
        await waiting.value
        _ = buffer.append(messages(2..<3))
        #expect(await consumer.value == "2")
        #expect(buffer.received == 3)
    }

    @Test func `are over for one who waits when the consumer leaves`() async {
        let buffer = buffer()
        _ = buffer.append(messages(0..<2))
        async let waiting: Void = buffer.untilHandled()
        #expect(buffer.finish(hasHandledLast: true).count == 2)
        await waiting
    }

    @Test func `count as handled before the next one is asked for, if the consumer says so`() async {
        let settled = Mutexed(0)
        let buffer = buffer()
        let incoming = messages(0..<2).map { incoming in
            var incoming = incoming
            incoming.receipt = Receipt(packetID: 1) { receipt in settled.update { $0 += receipt.isHandled ? 1 : 100 } }
            return incoming
        }
        _ = buffer.append(incoming)
        let sequence = MQTTMessages(buffer: buffer, grantedReasonCodes: [])
        sequence.acknowledge()
        #expect(await buffer.next(isolation: nil)?.topic == "0")
        #expect(settled.value == 0)
        sequence.acknowledge()
        #expect(settled.value == 1)
        sequence.acknowledge()
        #expect(buffer.finish(hasHandledLast: false).map(\.message.topic) == ["1"])
        #expect(settled.value == 1)
    }

    @Test func `come in the order of the broker`() async {
        let buffer = buffer(capacity: 100)
        #expect(!buffer.append(messages(0..<3)))
        #expect(!buffer.append(messages(3..<5)))
        #expect(await rest(buffer) == ["0", "1", "2", "3", "4"])
    }

    @Test func `pause the reading when they fill the buffer, none is dropped`() async {
        let buffer = buffer()
        #expect(!buffer.append(messages(0..<3)))
        #expect(buffer.fullness == .room)
        #expect(buffer.append(messages(3..<4)))
        #expect(buffer.fullness == .full)
        #expect(buffer.append(messages(4..<9)))
        #expect(buffer.dropped == 0)
        #expect(await rest(buffer).count == 9)
    }

    @Test func `wake the loop when a consumer has made room, and only then`() async {
        let buffer = buffer()
        _ = buffer.append(messages(0..<1))
        #expect(await buffer.next(isolation: nil)?.topic == "0")
        #expect(wakes.value == 0)
        _ = buffer.append(messages(1..<5))
        #expect(await buffer.next(isolation: nil)?.topic == "1")
        #expect(buffer.fullness == .room)
        #expect(wakes.value == 1)
        #expect(await buffer.next(isolation: nil)?.topic == "2")
        #expect(wakes.value == 1)
    }

    @Test func `push out the oldest`() async {
        let buffer = buffer(.dropOldest)
        #expect(!buffer.append(messages(0..<3)))
        #expect(!buffer.append(messages(3..<6)))
        #expect(buffer.dropped == 2)
        #expect(!buffer.append(messages(6..<16)))
        #expect(buffer.dropped == 12)
        #expect(MQTTMessages(buffer: buffer, grantedReasonCodes: []).dropped == 12)
        #expect(await rest(buffer) == ["12", "13", "14", "15"])
    }

    @Test func `are dropped as they come`() async {
        let buffer = buffer(.dropNewest)
        #expect(!buffer.append(messages(0..<3)))
        #expect(!buffer.append(messages(3..<6)))
        #expect(!buffer.append(messages(6..<7)))
        #expect(buffer.dropped == 3)
        #expect(await rest(buffer) == ["0", "1", "2", "3"])
    }

    @Test func `are bounded by their bytes too, but one is always kept`() async {
        func buffer(_ whenFull: MQTTBufferPolicy.WhenFull) -> MessageBuffer {
            MessageBuffer(["#"], policy: MQTTBufferPolicy(capacity: 100, maximumBytes: 25_000, whenFull: whenFull)) {}
        }
        let pausing = buffer(.pauseReading)
        #expect(!pausing.append(messages(0..<2, bytes: 10_000)))
        #expect(pausing.append(messages(2..<3, bytes: 10_000)))
        #expect(await pausing.next(isolation: nil) != nil)
        #expect(!pausing.append(messages(3..<4, bytes: 10_000)))
        for (policy, left) in [(MQTTBufferPolicy.WhenFull.dropOldest, ["3"]), (.dropNewest, ["0", "1"])] {
            let buffer = buffer(policy)
            #expect(!buffer.append(messages(0..<3, bytes: 10_000)))
            #expect(buffer.dropped == 1)
            #expect(!buffer.append(messages(3..<4, bytes: 100_000)))
            #expect(await rest(buffer) == left, "\(policy)")
        }
    }

    @Test func `are settled when the next one is asked for, and those that were not handed out are left over`() async {
        let settled = Mutexed<[String]>([])
        let buffer = MessageBuffer(["#"], policy: .default) {}
        let received = messages(0..<4).map { message in
            let receipt = Receipt(packetID: 1) { receipt in
                settled.update { $0.append("\(message.message.topic) \(receipt.isHandled)") }
            }
            return IncomingMessage(message: message.message, receipt: receipt)
        }
        _ = buffer.append(received)
        #expect(await buffer.next(isolation: nil)?.topic == "0")
        #expect(settled.value == [])
        #expect(await buffer.next(isolation: nil)?.topic == "1")
        #expect(settled.value == ["0 true"])
        #expect(buffer.finish(hasHandledLast: false).map(\.message.topic) == ["2", "3"])
        #expect(settled.value == ["0 true", "1 false"])
    }

    @Test func `that were not handed out are taken back, but for those of QoS 0 and 2 (core 5)`() async {
        let buffer = MessageBuffer(["#"], policy: .default) {}
        func batch(_ names: [String]) -> [IncomingMessage] {
            names.map { name in
                let qos: MQTTQoS = name.hasPrefix("0") ? .atMostOnce : name.hasPrefix("2") ? .exactlyOnce : .atLeastOnce
                let receipt = qos == .atMostOnce ? nil : Receipt(packetID: 1) { _ in }
                return IncomingMessage(message: MQTTMessage(topic: name, payload: [], qos: qos), receipt: receipt)
            }
        }
        _ = buffer.append(batch(["1a", "1b", "0a", "2a"]))
        #expect(await buffer.next(isolation: nil)?.topic == "1a")
        _ = buffer.append(batch(["1c", "2b", "0b"]))
        #expect(buffer.takeUnacknowledged().map(\.message.topic) == ["1b", "1c"])
        #expect(buffer.takeUnacknowledged().isEmpty)
        _ = buffer.append(batch(["1b"]))
        for name in ["0a", "2a", "2b", "0b", "1b"] { #expect(await buffer.next(isolation: nil)?.topic == name) }
    }

    @Test func `one for several consumers is settled by the last`() {
        let settled = Mutexed<[Bool]>([])
        let receipt = Receipt(packetID: 1) { receipt in settled.update { $0.append(receipt.isHandled) } }
        receipt.consumers(3)
        receipt.settle(isHandled: true)
        receipt.settle(isHandled: false)
        #expect(settled.value == [])
        receipt.settle(isHandled: true)
        #expect(settled.value == [false])
    }

    @Test func `reach a consumer that waits`() async {
        let buffer = buffer()
        let waiting = Task { await buffer.next(isolation: nil)?.topic }
        _ = buffer.append(messages(7..<8))
        #expect(await waiting.value == "7")
    }

    @Test func `end for a consumer that waits`() async {
        let buffer = buffer()
        let waiting = Task { await buffer.next(isolation: nil) }
        buffer.finish()
        #expect(await waiting.value == nil)
    }

    @Test func `that came before the end are still read, later ones are not`() async {
        let buffer = buffer()
        _ = buffer.append(messages(0..<2))
        buffer.finish()
        #expect(!buffer.append(messages(2..<9)))
        #expect(await rest(buffer) == ["0", "1"])
    }

    @Test func `end when the task is cancelled while it waits`() async {
        let buffer = buffer()
        let waiting = Task { await buffer.next(isolation: nil) }
        waiting.cancel()
        #expect(await waiting.value == nil)
    }

    @Test func `end for a task that is cancelled already`() async {
        let buffer = buffer()
        _ = buffer.append(messages(0..<2))
        let result = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await buffer.next(isolation: nil)
        }.value
        #expect(result == nil)
    }

    @Test func `a cancelled consumer leaves them to the next one`() async {
        let buffer = buffer()
        let waiting = Task { await buffer.next(isolation: nil) }
        waiting.cancel()
        _ = await waiting.value
        _ = buffer.append(messages(3..<4))
        #expect(await buffer.next(isolation: nil)?.topic == "3")
    }

    @Test func `who breaks out of a loop finds the rest in the next one`() async {
        let buffer = buffer(capacity: 10)
        _ = buffer.append(messages(0..<3))
        for await message in MQTTMessages(buffer: buffer, grantedReasonCodes: []) {
            #expect(message.topic == "0")
            break
        }
        #expect(await rest(buffer) == ["1", "2"])
    }

    @Test func `of two consumers that wait at the same time one is sent away`() async {
        let buffer = buffer()
        await withTaskGroup(of: String?.self) { group in
            for _ in 0..<2 { group.addTask { await buffer.next(isolation: nil)?.topic } }
            // No message has arrived: the first call to return is the one that found the other waiting.
            #expect(await group.next() == .some(nil))
            _ = buffer.append(messages(5..<6))
            #expect(await group.next() == .some("5"))
        }
    }

    @Test(.timeLimit(.minutes(3)))
    func `are all read, once and in order, while the loop pauses and resumes`() async {
        let room = Mutexed(true)
        let buffer = MessageBuffer(["#"], policy: MQTTBufferPolicy(capacity: 16, whenFull: .pauseReading)) {
            room.update { $0 = true }
        }
        let producer = Task {
            var next = 0
            while next < 2_000, !Task.isCancelled {
                guard room.value else {
                    await Task.yield()
                    continue
                }
                let count = min(next % 7 + 1, 2_000 - next)
                // Acts as the loop does: records the pause after the append, and checks again when woken.
                if buffer.append(messages(next..<next + count)) { room.update { $0 = buffer.fullness == .room } }
                next += count
            }
            buffer.finish()
        }
        var expected = 0
        for await message in MQTTMessages(buffer: buffer, grantedReasonCodes: []) {
            if message.topic != "\(expected)" { Issue.record("\(message.topic) instead of \(expected)") }
            expected += 1
        }
        // After the time limit nobody makes room any more.
        producer.cancel()
        await producer.value
        #expect(expected == 2_000)
    }
}

/// A value behind a lock.
private final class Mutexed<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) { mutex = Mutex(value) }
    var value: Value { mutex.withLock { $0 } }
    func update(_ body: (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}
