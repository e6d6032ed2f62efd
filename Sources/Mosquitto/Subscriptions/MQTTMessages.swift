/// The messages of one subscription, in the order in which the broker sent them.
///
/// It is bounded (``MQTTBufferPolicy``), survives reconnects, and ends when the client ends or the task is cancelled. It has
/// one consumer: a second iterator that waits at the same time gets the end of the sequence.
public struct MQTTMessages: AsyncSequence, Sendable {
    let buffer: MessageBuffer
    /// What the broker granted: the QoS of each subscription, in the order of the call.
    public let grantedReasonCodes: [MQTTReasonCode]

    public struct AsyncIterator: AsyncIteratorProtocol {
        let buffer: MessageBuffer

        public mutating func next() async -> MQTTMessage? { await buffer.next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTMessage? {
            await buffer.next(isolation: actor)
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffer: buffer) }

    /// Whether no message waits to be read now: the moment to write out what was buffered.
    public var isIdle: Bool { buffer.isIdle }

    /// How many messages were dropped since the subscription began, by ``MQTTBufferPolicy/WhenFull``.
    public var dropped: Int { buffer.dropped }
}
