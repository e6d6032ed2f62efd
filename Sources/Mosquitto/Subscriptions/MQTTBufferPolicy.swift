/// How many received messages wait for a consumer, and what happens when there are more.
public struct MQTTBufferPolicy: Sendable, Hashable {
    /// What happens to a message that finds the buffer full.
    public enum WhenFull: Sendable, Hashable {
        /// The client stops reading from the socket until the consumer has made room, so that TCP holds the broker back.
        /// It holds back all subscriptions of the client. A pause of more than the keep-alive ends the connection, since the
        /// broker's answers to PINGREQ are not read either; the client then reconnects.
        case pauseReading
        /// The oldest message of the buffer is dropped.
        case dropOldest
        /// The message that came is dropped.
        case dropNewest
    }

    /// The size of the buffer, at least 1.
    public var capacity: Int
    /// What happens when it is full.
    public var whenFull: WhenFull

    public init(capacity: Int, whenFull: WhenFull) {
        self.capacity = capacity
        self.whenFull = whenFull
    }

    /// 4,096 messages, then the client pauses reading.
    public static let `default` = MQTTBufferPolicy(capacity: 4_096, whenFull: .pauseReading)

    func validate() throws(MQTTError) {
        if capacity < 1 {
            throw .invalid(.invalidConfiguration, "buffer capacity is \(capacity); it must be at least 1")
        }
    }
}
