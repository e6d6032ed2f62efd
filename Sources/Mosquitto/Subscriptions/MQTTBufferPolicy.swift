// SPDX-License-Identifier: Apache-2.0

/// The limits of a consumer's buffer of received messages, and its behaviour when it is full.
///
/// A consumer takes all buffered messages at once, so that up to twice the limit may be in memory.
public struct MQTTBufferPolicy: Sendable, Hashable {
    /// The reaction to a message that does not fit in the buffer.
    public enum WhenFull: Sendable, Hashable {
        /// The client stops reading from the socket until the consumer has made room, so that TCP slows the broker
        /// down. This affects all subscriptions of the client, but no other clients on the same event loop. The
        /// connection stays up: the client still sends PINGREQ.
        ///
        /// While a call of the client waits for the broker's answer, such as a publish by the consumer itself, the
        /// client keeps reading until the answer arrives, or until the buffer holds 65,536 messages (or `capacity`, if
        /// that is more) or twice `maximumBytes`.
        case pauseReading
        /// The client drops the oldest buffered message.
        case dropOldest
        /// The client drops the new message.
        case dropNewest
    }

    /// Maximum number of buffered messages, at least 1; with ``WhenFull/pauseReading`` there may be more while a call
    /// waits for the broker.
    public var capacity: Int
    /// Maximum number of bytes of memory that buffered messages take, at least 1: topics, payloads, properties, and
    /// what the library adds to each. The message that exceeds the limit is still accepted. Default 64 MiB.
    public var maximumBytes: Int
    /// The behaviour of the client when the buffer is full.
    public var whenFull: WhenFull

    public init(capacity: Int, maximumBytes: Int = 64 << 20, whenFull: WhenFull) {
        self.capacity = capacity
        self.maximumBytes = maximumBytes
        self.whenFull = whenFull
    }

    /// A policy that buffers 4,096 messages or 64 MiB, then pauses reading.
    public static let `default` = MQTTBufferPolicy(capacity: 4_096, whenFull: .pauseReading)

    func validate() throws(MQTTError) {
        if capacity < 1 {
            throw .invalid(.invalidConfiguration, "buffer capacity is \(capacity); it must be at least 1")
        }
        if maximumBytes < 1 {
            throw .invalid(.invalidConfiguration, "buffer maximumBytes is \(maximumBytes); it must be at least 1")
        }
    }
}
