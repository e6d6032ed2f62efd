/// What a client makes of the time until its first connection.
public enum MQTTFirstConnection: Sendable, Hashable {
    /// It is retried like every later one. ``MQTTClient/start()`` returns at once.
    case background
    /// It is retried, and awaited: ``MQTTClient/start()`` and the body of ``withMQTTClient(_:eventLoop:logger:_:)`` go on when it
    /// is there. If there is none within this time, the client stops with ``MQTTError/Code/timeout``, whose
    /// ``MQTTError/underlying`` is the last failure.
    case waitUntilConnected(within: Duration)
    /// It is awaited, and its first failure stops the client with that failure. Later connections are retried.
    case failFast
}
