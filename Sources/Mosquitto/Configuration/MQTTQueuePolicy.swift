/// How much may wait to be published, and what happens when it is too much.
///
/// A message waits while there is no connection, while ``MQTTClientConfiguration/maximumInFlight`` others are in flight, and
/// while the socket takes no more. Messages wait in the order of their calls. A message that was handed to the connection does not count,
/// nor does one that was put back when the connection ended.
public struct MQTTQueuePolicy: Sendable, Hashable {
    /// What happens to a message that finds the queue full.
    public enum WhenFull: Sendable, Hashable {
        /// A publish waits until there is room, before those that come after it. An enqueue, which cannot wait, throws
        /// ``MQTTError/Code/queueFull``.
        case suspend
        /// ``MQTTError/Code/queueFull`` is thrown.
        case refuse
        /// The oldest messages of QoS 0 make room: their publishes throw ``MQTTError/Code/queueFull``, and
        /// ``MQTTConnectionEvent/Kind/messagesDropped(_:)`` counts them. Where they do not suffice, none is dropped, and the new message
        /// is refused.
        case dropOldestQoS0
    }

    /// How many messages may wait, at least 1. Default 100,000.
    public var maximumMessages: Int
    /// How many bytes of topics and payloads may wait, at least 1. A larger message finds room when no other waits. Default 64 MiB.
    public var maximumBytes: Int
    /// What happens to the next one. Default ``WhenFull/suspend``.
    public var whenFull: WhenFull
    /// Whether messages of QoS 0 wait while there is no connection. If not, they throw ``MQTTError/Code/notConnected``, and those
    /// that wait when the connection is lost do too. A graceful rotation does not count as a loss. Default `true`.
    public var queuesQoS0Offline: Bool

    public init(
        maximumMessages: Int = 100_000, maximumBytes: Int = 64 << 20, whenFull: WhenFull = .suspend,
        queuesQoS0Offline: Bool = true
    ) {
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
        self.whenFull = whenFull
        self.queuesQoS0Offline = queuesQoS0Offline
    }

    func validate() throws(MQTTError) {
        if maximumMessages < 1 {
            throw .invalid(.invalidConfiguration, "queue.maximumMessages is \(maximumMessages); it must be at least 1")
        }
        if maximumBytes < 1 {
            throw .invalid(.invalidConfiguration, "queue.maximumBytes is \(maximumBytes); it must be at least 1")
        }
    }
}
