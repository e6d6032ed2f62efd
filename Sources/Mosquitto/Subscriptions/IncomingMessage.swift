// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A message on its way to a consumer.
struct IncomingMessage: Sendable {
    var message: MQTTMessage
    /// The receipt on which the acknowledgement depends; `nil` if there is none.
    var receipt: Receipt?

    /// A placeholder for a message that was moved out of an array.
    static let none = IncomingMessage(message: MQTTMessage(topic: "", payload: [], qos: .atMostOnce))

    /// The memory that counts in a buffer, in bytes.
    var memorySize: Int { message.memorySize }

    func isForSame(as other: IncomingMessage) -> Bool {
        message.topic == other.message.topic
            && message.retain == other.message.retain
            && message.isDiscarded == other.message.isDiscarded
            && message.subscriptionIdentifiers == other.message.subscriptionIdentifiers
    }
}

/// Collects the results of all consumers of a message: when the last one has finished, the message is acknowledged, or
/// left to the broker.
final class Receipt: Sendable {
    let packetID: UInt16
    private let state = Mutex((remaining: 1, isHandled: true))
    private let settled: @Sendable (Receipt) -> Void

    init(packetID: UInt16, settled: @escaping @Sendable (Receipt) -> Void) {
        self.packetID = packetID
        self.settled = settled
    }

    /// True if all consumers have handled the message.
    var isHandled: Bool { state.withLock { $0.isHandled } }

    /// Sets the number of consumers of the message.
    func consumers(_ count: Int) { state.withLock { $0.remaining = count } }

    /// Records that one consumer has handled the message, or will not.
    func settle(isHandled: Bool) {
        let isLast = state.withLock { state in
            state.remaining -= 1
            if !isHandled { state.isHandled = false }
            return state.remaining == 0
        }
        if isLast { settled(self) }
    }
}

/// A QoS 1 message that waits for its acknowledgement. After a lost connection the broker resends the message with DUP
/// and the same packet identifier (MQTT 5.0, section 4.4); the repetition then shares the receipt of the message
/// already received.
struct MessageUnderHandling {
    private enum Payload {
        case whole([UInt8])
        /// A hash with the seed of this process, which publishers cannot know.
        case condensed(count: Int, hash: Int)
    }

    let receipt: Receipt
    private var topic: String
    private var payload: Payload
    /// The connection on which the message arrived last.
    var connection: Int
    /// True if the consumers have handled the message since that connection was lost.
    var isHandled = false

    init(_ message: MQTTMessage, _ receipt: Receipt, connection: Int) {
        self.receipt = receipt
        self.connection = connection
        (topic, payload) = (message.topic, .whole(message.payload))
    }

    func isSame(as message: MQTTMessage) -> Bool {
        switch payload {
        case .whole(let payload): return message.topic == topic && message.payload == payload
        case .condensed(let count, let hash):
            return message.payload.count == count && Self.hash(message.topic, message.payload) == hash
        }
    }

    /// Releases the memory of topic and payload. A handled message is kept only to recognize its repetition: up to
    /// 65,535 of them may wait for an earlier acknowledgement (MQTT 5.0, section 4.6).
    mutating func condense() {
        guard case .whole(let bytes) = payload else { return }
        payload = .condensed(count: bytes.count, hash: Self.hash(topic, bytes))
        topic = ""
    }

    private static func hash(_ topic: String, _ bytes: [UInt8]) -> Int {
        var hasher = Hasher()
        hasher.combine(topic)
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

/// A QoS 2 message that the broker has sent but not released (MQTT 5.0, section 4.3.3).
enum UnreleasedMessage {
    case handling(Receipt)
    case handled

    var isHandled: Bool { if case .handled = self { true } else { false } }
}
