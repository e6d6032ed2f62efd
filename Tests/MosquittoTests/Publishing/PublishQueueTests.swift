// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The queue of publishes` {
    private func publish(
        _ sequence: UInt64, _ qos: MQTTQoS = .atLeastOnce, expiry: UInt32? = nil
    ) -> OutgoingPublish {
        let publish = OutgoingPublish(
            topic: "\(sequence)", payload: [], qos: qos, retain: false,
            properties: MQTTPublishProperties(messageExpiryInterval: expiry))
        publish.sequence = sequence
        return publish
    }

    /// The macro copies its operands, and a queue cannot be copied.
    private func expect(_ isTrue: Bool, _ location: SourceLocation = #_sourceLocation) {
        #expect(isTrue, sourceLocation: location)
    }

    private func topics(_ messages: [OutgoingPublish]) -> [String] { messages.map(\.topic) }

    @Test func `is first in, first out, whatever the QoS`() {
        var queue = PublishQueue()
        for message in [publish(1), publish(2, .atMostOnce), publish(3), publish(4, .atMostOnce)] {
            queue.append(message)
        }
        expect(queue.count == 4)
        expect(queue.first?.topic == "1")
        expect(queue.popFirst()?.topic == "1")
        expect(topics(queue.takeAll()) == ["2", "3", "4"])
        expect(queue.isEmpty)
        expect(queue.popFirst() == nil)
    }

    @Test func `messages that come back go to their places, also one after the other`() {
        var queue = PublishQueue()
        queue.append(publish(5))
        queue.append(publish(6, .atMostOnce))
        queue.putBack([publish(2, .atMostOnce), publish(4)])
        queue.putBack([publish(1)])
        queue.putBack([publish(3)])
        expect(topics(queue.takeAll()) == ["1", "2", "3", "4", "5", "6"])
    }

    @Test func `a removed message is gone, wherever it stood, and removing it again does nothing (core 3)`() {
        let messages = (1...5).map { publish($0, $0 == 4 ? .atMostOnce : .atLeastOnce, expiry: $0 == 3 ? 9 : nil) }
        var queue = PublishQueue()
        for message in messages { queue.append(message) }
        expect(queue.expiring == 1)
        for index in [2, 4, 0, 2] { queue.remove(messages[index]) }
        expect(queue.count == 2)
        expect(queue.bytes == messages[1].memorySize + messages[3].memorySize)
        expect(queue.expiring == 0)
        expect(queue.first === messages[1])
        for index in [1, 3] { queue.remove(messages[index]) }
        expect(queue.isEmpty)
        expect(queue.bytes == 0)
        queue.append(messages[2])
        expect(queue.popFirst() === messages[2])
    }

    @Test func `the oldest of QoS 0 is found behind any number of others`() {
        var queue = PublishQueue()
        for number in 1...1_000 {
            queue.append(publish(UInt64(number), number % 500 == 0 ? .atMostOnce : .atLeastOnce))
        }
        expect(queue.popFirstAtMostOnce()?.topic == "500")
        expect(queue.popFirstAtMostOnce()?.topic == "1000")
        expect(queue.popFirstAtMostOnce() == nil)
        expect(queue.count == 998)
    }

    @Test func `holds its messages, frees them, and frees a long one without recursion`() {
        weak var known: OutgoingPublish?
        do {
            var queue = PublishQueue()
            for number in 1...100_000 {
                let message = publish(UInt64(number))
                if number == 50_000 { known = message }
                queue.append(message)
            }
            expect(known != nil)
            expect(queue.count == 100_000)
        }
        expect(known == nil)
    }

    @Test func `an outcome is told once`() async throws {
        let message = publish(1)
        let outcome = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<OutgoingPublish.Outcome, Never>) in
            message.continuation = continuation
            message.complete(.success(.success))
            message.complete(.failure(MQTTError(.stopped, "late")))
        }
        #expect(try outcome.get().reasonCode == .success)
    }
}
