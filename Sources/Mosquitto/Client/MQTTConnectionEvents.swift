/// The connection events of a client from the call to ``MQTTClient/events()`` on.
///
/// The sequence buffers the 1,024 newest unread events, and ends after ``MQTTConnectionEvent/Kind/stopped(_:)``. If a
/// service group has shut down the client, the sequence ends when the service that reads it is shut down too.
public struct MQTTConnectionEvents: AsyncSequence, Sendable {
    let stream: AsyncStream<MQTTConnectionEvent>
    let shared: SharedState

    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<MQTTConnectionEvent>.AsyncIterator
        let shared: SharedState

        public mutating func next() async -> MQTTConnectionEvent? { await next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTConnectionEvent? {
            if let event = await base.next(isolation: actor) { return event }
            await shared.awaitTurn()
            return nil
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: stream.makeAsyncIterator(), shared: shared)
    }
}
