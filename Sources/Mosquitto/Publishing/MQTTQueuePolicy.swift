// SPDX-License-Identifier: Apache-2.0

/// The limits of the queue of outgoing messages, and its behaviour when it is full.
///
/// A message waits while there is no connection, while ``MQTTPublishingLimits/maximumInFlight`` others are in
/// flight, and while the socket accepts no more bytes. Messages wait in the order of their calls. Messages handed to
/// the connection do not count, nor do those that returned to the queue when a connection ended.
public struct MQTTQueuePolicy: Sendable, Hashable {
    /// The reaction to a message that does not fit in the queue.
    public enum WhenFull: Sendable, Hashable {
        /// A publish waits for room, ahead of later ones. An enqueue, which cannot wait, throws
        /// ``MQTTError/Code/queueFull``.
        case suspend
        /// The call throws ``MQTTError/Code/queueFull``.
        case refuse
        /// The client drops the oldest messages of QoS 0: their publishes throw ``MQTTError/Code/queueFull``, and
        /// ``MQTTConnectionEvent/Kind/messagesDropped(_:)`` counts them. If they do not free enough room, none is
        /// dropped, and the new message is refused.
        case dropOldestQoS0
    }

    /// Maximum number of waiting messages, at least 1. Default 100,000.
    public var maximumMessages: Int
    /// Maximum number of bytes of memory that waiting messages take, at least 1: topics, payloads, properties, and what
    /// the library adds to each. A larger message is accepted if no other is
    /// waiting. Default 64 MiB.
    public var maximumBytes: Int
    /// The reaction to a message that does not fit. Default ``WhenFull/suspend``.
    public var whenFull: WhenFull
    /// True if messages of QoS 0 wait while there is no connection. If false, their calls throw
    /// ``MQTTError/Code/notConnected``, also for messages that are waiting when the connection is lost. A graceful
    /// rotation does not count as a loss. Default `true`.
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
            throw .invalid(
                .invalidConfiguration, "publishing.queue.maximumMessages is \(maximumMessages); it must be at least 1")
        }
        if maximumBytes < 1 {
            throw .invalid(
                .invalidConfiguration, "publishing.queue.maximumBytes is \(maximumBytes); it must be at least 1")
        }
    }
}
