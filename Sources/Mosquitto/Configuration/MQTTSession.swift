// SPDX-License-Identifier: Apache-2.0

/// The state that the broker keeps for a client while it is not connected (MQTT 5.0, section 3.1.2.4; 3.1.1, Clean
/// Session).
public enum MQTTSession: Sendable, Hashable {
    /// The broker keeps nothing: the client misses messages published by others while it reconnects or rotates its
    /// credentials. The client keeps its own publishes, which are not lost.
    case clean
    /// The broker keeps subscriptions and unacknowledged messages for this time after the end of the connection, in
    /// seconds; MQTT 3.1.1 has no expiry. ``MQTTClientConfiguration/clientID`` must be set to a stable identifier.
    ///
    /// A subscription outlives its consumer: only ``MQTTMessages/unsubscribe()`` and ``MQTTClient/unsubscribe(from:)``
    /// end it.
    case persistent(expiry: Duration)

    /// A session that the broker keeps for five minutes.
    public static let persistent = MQTTSession.persistent(expiry: .seconds(300))
}
