/// How new credentials replace those of a connection that is up.
public enum MQTTRotation: Sendable, Hashable {
    /// Not at all: they are used by the next connection.
    case onNextConnect
    /// By a graceful reconnect: unacknowledged publishes are waited for, then DISCONNECT and CONNECT follow each other at once.
    case reconnectNow
    /// By re-authentication on the same connection (MQTT 5.0, section 4.12.1), with no gap. It needs TLS, MQTT 5.0 and an
    /// ``MQTTAuthenticator``; where the broker refuses, ``reconnectNow`` takes its place.
    case reauthenticate
}
