/// The connection events of a client from the moment of the call to ``MQTTClient/events()``.
///
/// It holds the 1,024 newest events that have not been read, and ends after ``MQTTConnectionEvent/Kind/stopped(_:)``. In a service
/// group that has shut the client down, it ends when the service that reads it is shut down too.
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
