/// Where a client stands.
public enum MQTTConnectionState: Sendable {
    /// `run()` has not been called.
    case idle
    /// An attempt is being made.
    case connecting(attempt: Int)
    /// An attempt failed; the next one follows after a delay.
    case waiting(lastError: MQTTError)
    /// The broker has accepted the connection.
    case connected(MQTTConnectionInfo)
    /// A connection is being ended on purpose: a rotation of credentials, or the shutdown.
    case disconnecting
    /// The client has ended: with this error, or `nil` after a shutdown.
    case stopped(MQTTError?)

    /// Whether the client is connected.
    public var isConnected: Bool { if case .connected = self { true } else { false } }
}
