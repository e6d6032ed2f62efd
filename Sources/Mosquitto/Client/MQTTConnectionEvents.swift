// SPDX-License-Identifier: Apache-2.0

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// The connection events of a client from the call to ``MQTTClient/events()`` on.
///
/// The sequence buffers the 1,024 newest unread events, and ends after ``MQTTConnectionEvent/Kind/stopped(_:)``. When
/// the task that reads the sequence is shut down gracefully (`ServiceGroup`), the sequence ends after the events
/// received until then.
///
/// If a service group has shut down the client first, the sequence ends when the service that reads the events is shut
/// down too.
public struct MQTTConnectionEvents: AsyncSequence, Sendable {
    let stream: AsyncStream<MQTTConnectionEvent>
    let end: @Sendable () -> Void
    let shared: SharedState

    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<MQTTConnectionEvent>.AsyncIterator
        let end: @Sendable () -> Void
        let shared: SharedState

        public mutating func next() async -> MQTTConnectionEvent? { await next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> MQTTConnectionEvent? {
            let event = await withGracefulShutdownHandler(isolation: actor) {
                await base.next(isolation: actor)
            } onGracefulShutdown: { [end] in
                end()
            }
            if let event { return event }
            await shared.awaitTurn()
            return nil
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: stream.makeAsyncIterator(), end: end, shared: shared)
    }
}
