import Testing

@testable import Mosquitto

@Suite struct `The queue of publishes` {
    private func publish(_ topic: String) -> OutgoingPublish {
        OutgoingPublish(topic: topic, payload: [], qos: .atLeastOnce, retain: false, properties: .init())
    }

    private func queue(_ messages: OutgoingPublish...) -> PublishQueue {
        var queue = PublishQueue()
        for message in messages { queue.append(message) }
        return queue
    }

    @Test func `is first in, first out`() {
        var queue = queue(publish("1"), publish("2"), publish("3"))
        #expect(queue.count == 3)
        #expect(queue.first?.topic == "1")
        #expect(queue.popFirst()?.topic == "1")
        #expect(queue.takeAll().map(\.topic) == ["2", "3"])
        #expect(queue.isEmpty)
        #expect(queue.popFirst() == nil)
    }

    @Test func `what comes back goes to the front, in its order`() {
        var queue = queue(publish("3"))
        queue.prepend([publish("1"), publish("2")])
        #expect(queue.takeAll().map(\.topic) == ["1", "2", "3"])
    }

    @Test func `a message is cancelled by identity, and its place is passed over`() {
        let (first, second, third) = (publish("t"), publish("t"), publish("u"))
        var queue = queue(first, second, third)
        queue.cancel(first)
        #expect(queue.count == 2)
        #expect(queue.first === second)
        queue.cancel(third)
        #expect(queue.popFirst() === second)
        #expect(queue.isEmpty)
        #expect(queue.popFirst() == nil)
        #expect(queue.takeAll().isEmpty)
    }

    @Test func `places of cancelled messages do not pile up`() {
        var queue = queue(publish("kept"))
        for _ in 0..<1_000 {
            let message = publish("t")
            queue.append(message)
            queue.cancel(message)
        }
        #expect(queue.count == 1)
        #expect("\(queue)".count < 20_000)
        #expect(queue.takeAll().map(\.topic) == ["kept"])
    }

    @Test func `the first ones of a kind are taken out until it is enough`() {
        var queue = queue(publish("a"), publish("b"), publish("a"), publish("a"))
        #expect(queue.removeFirst(where: { $0.topic == "a" }, until: { count, _ in count == 4 }).isEmpty)
        #expect(queue.removeFirst(where: { $0.topic == "a" }, until: { count, _ in count == 0 }).isEmpty)
        #expect(queue.count == 4)
        // Topics of one byte, and no payload.
        #expect(queue.removeFirst(where: { $0.topic == "a" }, until: { _, bytes in bytes == 2 }).count == 2)
        #expect(queue.takeAll().map(\.topic) == ["b", "a"])
    }

    @Test func `an outcome is told once`() async throws {
        let message = publish("t")
        let outcome = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<OutgoingPublish.Outcome, Never>) in
            message.continuation = continuation
            message.complete(.success(.success))
            message.complete(.failure(MQTTError(.stopped, "late")))
        }
        #expect(try outcome.get().reasonCode == .success)
    }
}
