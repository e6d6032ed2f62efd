// SPDX-License-Identifier: Apache-2.0

/// The messages of one subscription, in the order in which the broker sent them.
///
/// The sequence is bounded by its ``MQTTBufferPolicy``, and survives reconnects. It ends when the client stops, when
/// the broker refuses all of its filters after a reconnect (``endedBy``), or when the task is shut down gracefully
/// (`ServiceGroup`): messages already received can then still be read. If the task is cancelled, the sequence ends at
/// once. It has one consumer: a second iterator that waits at the same time receives the end of the sequence.
public struct MQTTMessages: AsyncSequence, Sendable {
    let buffer: MessageBuffer
    /// The QoS that the broker granted to each subscription, in the order of the call.
    ///
    /// If a resumed session delivered so many messages for the filters that the buffer was full before the broker
    /// answered, these are the requested values. Empty if the client or the task was shut down gracefully before the
    /// answer.
    public let grantedReasonCodes: [MQTTReasonCode]
    var end: @Sendable (MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] = { _ in [] }

    /// Ends the subscription before the end of its scope, and returns the broker's reason code for each filter, in the
    /// order of the call (MQTT 5.0, section 3.11.3; always success with MQTT 3.1.1).
    ///
    /// Messages already received can still be read until the end of the scope; then the sequence ends. A filter that
    /// another subscription of this client uses too stays subscribed, with ``MQTTReasonCode/success``. Without a
    /// connection the call waits for the next one, if there is a session to unsubscribe from. In a persistent session
    /// only this call ends a subscription; the end of its scope does not. Throws ``MQTTError/Code/stopped`` if the
    /// client stops first.
    @discardableResult
    public func unsubscribe() async throws(MQTTError) -> [MQTTReasonCode] { try await end(buffer) }

    /// Counts the message that was returned last as handled, before the next one is asked for.
    ///
    /// With ``MQTTAcknowledgement/afterHandling`` the message is acknowledged now, for example before
    /// ``MQTTClient/shutdown()`` within the scope of the subscription. Without such a message the call does nothing.
    public func acknowledge() { buffer.settleLast() }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let buffer: MessageBuffer

        public mutating func next() async -> MQTTMessage? { await buffer.next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTMessage? {
            await buffer.next(isolation: actor)
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffer: buffer) }

    /// The error that ends the sequence if the broker refuses all of its filters after a reconnect; else `nil`.
    ///
    /// The error is an ``MQTTError/Code/operationRefused`` with the reason code and ``MQTTError/refusedFilters``.
    /// `subscribe` throws it when its body returns.
    public var endedBy: MQTTError? { buffer.ending }

    /// True if no message can be read now: a good moment to flush output.
    public var isIdle: Bool { buffer.isIdle }

    /// Number of messages dropped since the subscription began, by ``MQTTBufferPolicy/WhenFull``.
    public var dropped: Int { buffer.dropped }
}
