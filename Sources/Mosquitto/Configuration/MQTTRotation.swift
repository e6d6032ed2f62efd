// SPDX-License-Identifier: Apache-2.0

/// The way in which new credentials replace those of an established connection.
public enum MQTTRotation: Sendable, Hashable {
    /// The next connection uses the new credentials; the current one stays up.
    case onNextConnect
    /// The client reconnects gracefully: it waits for unacknowledged publishes, then sends DISCONNECT and immediately
    /// connects again.
    case reconnectNow
    /// The client re-authenticates on the same connection (MQTT 5.0, section 4.12.1), without a gap. Needs TLS, MQTT
    /// 5.0 and an ``MQTTAuthenticator``; if the broker refuses, the client falls back to ``reconnectNow``.
    case reauthenticate
}
