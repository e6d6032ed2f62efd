// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The age of a backlog` {
    private let start = ContinuousClock.now

    private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func `is that of the first mark that covers the oldest message`() {
        var age = BacklogAge()
        #expect(age.age(of: 1, now: start) == .zero)
        age.note(3, at: start)
        age.note(8, at: after(10))
        #expect(age.age(of: 2, now: after(15)) == .seconds(15))
        // The first three were sent.
        #expect(age.age(of: 4, now: after(16)) == .seconds(6))
        #expect(age.age(of: 9, now: after(17)) == .zero)
    }

    @Test func `keeps the earlier of two marks for the same messages`() {
        var age = BacklogAge()
        age.note(3, at: start)
        age.note(3, at: after(10))
        #expect(age.age(of: 3, now: after(12)) == .seconds(12))
    }

    @Test func `ends with the backlog`() {
        var age = BacklogAge()
        age.note(3, at: start)
        #expect(age.age(of: nil, now: after(1)) == nil)
        #expect(age.age(of: 2, now: after(2)) == .zero)
    }

    @Test func `is never above the truth, and exact for the oldest, however many marks there were`() {
        var age = BacklogAge()
        for second in 0..<1_000 { age.note(UInt64(second + 1), at: after(second)) }
        #expect(age.age(of: 1, now: after(1_000)) == .seconds(1_000))
        for oldest in [2, 500, 900, 1_000] {
            let known = age.age(of: UInt64(oldest), now: after(1_000))
            #expect(known.map { $0 <= .seconds(1_001 - oldest) } == true)
        }
    }

    @Test func `a queue without a connection knows the age of its first message at the first look`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 10))
        let publish = {
            OutgoingPublish(topic: "t", payload: [], qos: .atLeastOnce, retain: false, properties: .init())
        }
        let begin = ContinuousClock.now
        _ = try queue.post(publish())
        _ = try queue.post(publish())
        let end = ContinuousClock.now
        let backlog = queue.backlog(now: end + .seconds(5))
        #expect(backlog.messages == 2)
        #expect(backlog.fill == 0.2)
        #expect(backlog.bytes > 0)
        let oldest = try #require(backlog.oldest)
        #expect(oldest >= .seconds(5) && oldest <= .seconds(5) + (end - begin))
    }

    @Test func `a loss of the connection and a look mark what is in the queue`() throws {
        let queue = OutgoingQueue(MQTTQueuePolicy())
        let publish = {
            OutgoingPublish(topic: "t", payload: [], qos: .atLeastOnce, retain: false, properties: .init())
        }
        _ = queue.setOffline(false)
        _ = try queue.post(publish())
        // Nothing reads the clock for a message of a connected client.
        #expect(queue.backlog(now: .now).oldest == .zero)
        #expect(try #require(queue.backlog(now: .now + .seconds(7)).oldest) >= .seconds(7))
        _ = queue.takeAll(10)
        #expect(queue.backlog(now: .now).oldest == nil)
        _ = try queue.post(publish())
        _ = queue.setOffline(true)
        #expect(try #require(queue.backlog(now: .now + .seconds(7)).oldest) >= .seconds(7))
    }

    @Test func `calls that wait for room count, beyond the limit`() async throws {
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumMessages: 1, whenFull: .suspend))
        let publish = {
            OutgoingPublish(topic: "t", payload: [], qos: .atLeastOnce, retain: false, properties: .init())
        }
        _ = try queue.post(publish())
        async let waiting = withUnsafeContinuation { continuation in
            do throws(MQTTError) { _ = try queue.post(publish(), continuation) } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        while queue.length < 2 { await Task.yield() }
        let backlog = queue.backlog(now: .now)
        #expect(backlog.messages == 2)
        #expect(backlog.fill == 2)
        for publish in queue.close(OutgoingQueue.cancelled) { publish.complete(.failure(OutgoingQueue.cancelled)) }
        _ = await waiting
    }
}
