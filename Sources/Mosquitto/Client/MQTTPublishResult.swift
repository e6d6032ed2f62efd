/// How a broker answered a publish.
public struct MQTTPublishResult: Sendable, Hashable {
    /// Success, or "no matching subscribers" where the broker tells. QoS 0 is success once the packet was handed to the
    /// transport.
    public var reasonCode: MQTTReasonCode
}

/// How a broker answered a SUBSCRIBE.
public struct MQTTSubscribeResult: Sendable, Hashable {
    /// For each subscription, in order, the granted QoS or why it was refused.
    public var reasonCodes: [MQTTReasonCode]
}

/// How credentials are changed under a running client.
public enum MQTTRotation: Sendable, Hashable {
    /// Fresh credentials are fetched, unacknowledged publishes are waited for, and the client reconnects with a DISCONNECT.
    case reconnectNow
}
