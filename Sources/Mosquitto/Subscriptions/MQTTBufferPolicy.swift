/// How many received messages wait for a consumer, and what happens when there are more.
///
/// A consumer takes what waits in one go, so that at most twice as much is in memory.
public struct MQTTBufferPolicy: Sendable, Hashable {
    /// What happens to a message that finds the buffer full.
    public enum WhenFull: Sendable, Hashable {
        /// The client stops reading from the socket until the consumer has made room, so that TCP holds the broker back.
        /// It holds back all subscriptions of the client. The connection stays: the client goes on sending PINGREQ. Other
        /// clients on the same event loop are not affected.
        ///
        /// While a call of the client waits for the broker's answer, such as a publish of the consumer itself, reading goes on
        /// until it has come, or until the buffer has 65,536 messages (or `capacity`, if that is more) or twice `maximumBytes`.
        case pauseReading
        /// The oldest message of the buffer is dropped.
        case dropOldest
        /// The message that came is dropped.
        case dropNewest
    }

    /// How many messages wait, at least 1; with ``WhenFull/pauseReading`` more, where a call waits for the broker.
    public var capacity: Int
    /// How many bytes of topics and payloads wait, at least 1; the message that passes the limit is the last. Default 64 MiB.
    public var maximumBytes: Int
    /// What happens when it is full.
    public var whenFull: WhenFull

    public init(capacity: Int, maximumBytes: Int = 64 << 20, whenFull: WhenFull) {
        self.capacity = capacity
        self.maximumBytes = maximumBytes
        self.whenFull = whenFull
    }

    /// 4,096 messages or 64 MiB, then the client pauses reading.
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
