// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// The memory of messages, which publishers choose.
@Suite(.turn(.units)) struct `The memory of a message` {
    private func message(_ change: (inout MQTTPublishProperties) -> Void = { _ in }) -> MQTTMessage {
        var properties = MQTTPublishProperties()
        change(&properties)
        return MQTTMessage(topic: "t", payload: [1], qos: .atMostOnce, properties: properties)
    }

    @Test func `is that of its topic and payload, and of its own`() {
        let small = message().memorySize
        #expect(small > 50 && small < 250)
        let large = MQTTMessage(
            topic: String(repeating: "t", count: 10_000), payload: [UInt8](repeating: 1, count: 20_000),
            qos: .atMostOnce)
        #expect((30_000..<30_300).contains(large.memorySize))
    }

    @Test func `is that of each property, too`() {
        let small = message().memorySize
        #expect(message { $0.userProperties = Array(repeating: .init("", ""), count: 1_000) }.memorySize >= 32_000)
        let long = String(repeating: "x", count: 5_000)
        #expect(message { $0.userProperties = [.init(long, long)] }.memorySize >= small + 10_000)
        #expect(message { $0.subscriptionIdentifiers = Array(1...1_000) }.memorySize >= small + 4_000)
        #expect(message { $0.correlationData = [UInt8](repeating: 1, count: 5_000) }.memorySize >= small + 5_000)
        #expect(message { ($0.contentType, $0.responseTopic) = (long, long) }.memorySize >= small + 10_000)
    }

    /// 1,200 such messages were "2,400 bytes", and took 1.5 GiB.
    @Test(arguments: [MQTTBufferPolicy.WhenFull.pauseReading, .dropOldest, .dropNewest])
    func `fills a buffer`(whenFull: MQTTBufferPolicy.WhenFull) {
        let policy = MQTTBufferPolicy(capacity: 4_096, maximumBytes: 1 << 20, whenFull: whenFull)
        let buffer = MessageBuffer(["#"], policy: policy) {}
        let heavy = IncomingMessage(
            message: message { $0.userProperties = Array(repeating: .init("", ""), count: 1_000) })
        let isFull = buffer.append(Array(repeating: heavy, count: 100))
        #expect(isFull == (whenFull == .pauseReading))
        #expect(buffer.dropped > 60 || whenFull == .pauseReading)
    }

    @Test func `fills the messages without a consumer, and the queue of publishes`() throws {
        var unclaimed = UnclaimedMessages()
        let heavy = IncomingMessage(
            message: message { $0.userProperties = Array(repeating: .init("", ""), count: 9_000) })
        for _ in 0..<400 { _ = unclaimed.hold([heavy]) }
        #expect(unclaimed.count * heavy.memorySize <= 80 << 20)
        let queue = OutgoingQueue(MQTTQueuePolicy(maximumBytes: 1 << 20, whenFull: .refuse))
        var properties = MQTTPublishProperties()
        properties.userProperties = Array(repeating: .init("", ""), count: 9_000)
        #expect(throws: MQTTError.self) {
            for _ in 0..<10 {
                _ = try queue.post(
                    OutgoingPublish(topic: "t", payload: [], qos: .atMostOnce, retain: false, properties: properties))
            }
        }
    }
}
