// SPDX-License-Identifier: Apache-2.0

/// The behaviour of a client until its first connection.
public enum MQTTFirstConnection: Sendable, Hashable {
    /// The client retries the first connection like every later one. ``MQTTClient/start()`` returns immediately.
    case background
    /// The client retries the first connection; ``MQTTClient/start()`` returns, and the body of
    /// ``withMQTTClient(_:eventLoop:logger:_:)`` begins, when the client is connected. If there is no connection within
    /// this time, the client stops with ``MQTTError/Code/timeout``, whose ``MQTTError/underlying`` is the last failure.
    case waitUntilConnected(within: Duration)
    /// The callers wait as for ``waitUntilConnected(within:)``, but the first failure stops the client with its error.
    /// Later connections are retried.
    case failFast
}
