/// The connection events of a client from the moment of the call to ``MQTTClient/events()``.
///
/// It holds the 1,024 newest events that have not been read, and ends after ``MQTTConnectionEvent/Kind/stopped(_:)``.
public struct MQTTConnectionEvents: AsyncSequence, Sendable {
    let stream: AsyncStream<MQTTConnectionEvent>

    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<MQTTConnectionEvent>.AsyncIterator

        public mutating func next() async -> MQTTConnectionEvent? { await base.next() }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTConnectionEvent? {
            await base.next(isolation: actor)
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: stream.makeAsyncIterator()) }
}
