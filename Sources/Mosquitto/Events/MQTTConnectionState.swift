// SPDX-License-Identifier: Apache-2.0

/// The state of a client's connection.
public enum MQTTConnectionState: Sendable {
    /// `run()` has not been called.
    case idle
    /// A connection attempt is in progress.
    case connecting(attempt: Int)
    /// An attempt failed; the next one follows after a delay.
    case waiting(lastError: MQTTError)
    /// The broker has accepted the connection.
    case connected(MQTTConnectionInfo)
    /// The client is closing the connection for a rotation of credentials or for its shutdown.
    case disconnecting
    /// The client has stopped: with this error, or `nil` after a shutdown.
    case stopped(MQTTError?)

    /// True if the client is connected.
    public var isConnected: Bool { if case .connected = self { true } else { false } }
}
