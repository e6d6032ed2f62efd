/// What the broker keeps for a client while it is not connected (MQTT 5.0, section 3.1.2.4; 3.1.1, Clean Session).
public enum MQTTSession: Sendable, Hashable {
    /// Nothing: messages that others publish while the client reconnects or rotates its credentials do not reach it. Its own
    /// publishes are kept by the client and are not lost.
    case clean
    /// Subscriptions and unacknowledged messages, for this long after the connection has ended. Seconds; MQTT 3.1.1 has no
    /// expiry. ``MQTTClientConfiguration/clientID`` has to be set, to one that stays the same.
    ///
    /// A subscription outlives its consumer: it ends by ``MQTTMessages/unsubscribe()`` or ``MQTTClient/unsubscribe(from:)`` only.
    case persistent(expiry: Duration)

    /// Persistent for five minutes.
    public static let persistent = MQTTSession.persistent(expiry: .seconds(300))
}
