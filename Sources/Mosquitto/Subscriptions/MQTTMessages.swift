/// The messages of one subscription, in the order in which the broker sent them.
///
/// It is bounded (``MQTTBufferPolicy``), and survives reconnects. It ends when the client ends, or the broker refuses all of its
/// filters after a reconnect (``endedBy``), or the task is shut down gracefully (`ServiceGroup`): then what has come can still be
/// read. And it ends at once when the task is cancelled. It has one consumer: a second iterator that waits at the same time gets the
/// end of the sequence.
public struct MQTTMessages: AsyncSequence, Sendable {
    let buffer: MessageBuffer
    /// What the broker granted: the QoS of each subscription, in the order of the call.
    ///
    /// What was asked for, if a resumed session brought so many messages of theirs that the buffer was full before the broker answered.
    /// Empty if the client or the task was shut down gracefully before that.
    public let grantedReasonCodes: [MQTTReasonCode]
    var end: @Sendable (MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] = { _ in [] }

    /// Ends the subscription before its scope does, and returns the broker's reason code for each filter, in the order of the call
    /// (MQTT 5.0, section 3.11.3; with MQTT 3.1.1 always success).
    ///
    /// Messages that have come already can still be read, as long as the scope lasts; then the sequence ends. A filter that another
    /// subscription of this client has too stays, with ``MQTTReasonCode/success``. Without a connection it waits for the next one, if
    /// there is a session to unsubscribe from. In a persistent session this is what ends a subscription; its scope does not. Throws ``MQTTError/Code/stopped`` if the client ends first.
    @discardableResult
    public func unsubscribe() async throws(MQTTError) -> [MQTTReasonCode] { try await end(buffer) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let buffer: MessageBuffer

        public mutating func next() async -> MQTTMessage? { await buffer.next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTMessage? {
            await buffer.next(isolation: actor)
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffer: buffer) }

    /// Why the sequence has ended or is about to, if the broker refuses all of its filters after a reconnect; else `nil`.
    ///
    /// An ``MQTTError/Code/operationRefused`` with the reason code and ``MQTTError/refusedFilters``. `subscribe` throws it when its
    /// body returns.
    public var endedBy: MQTTError? { buffer.ending }

    /// Whether no message waits to be read now: the moment to write out what was buffered.
    public var isIdle: Bool { buffer.isIdle }

    /// How many messages were dropped since the subscription began, by ``MQTTBufferPolicy/WhenFull``.
    public var dropped: Int { buffer.dropped }
}
