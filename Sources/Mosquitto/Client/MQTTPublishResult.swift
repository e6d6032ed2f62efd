/// How a broker answered a publish.
public struct MQTTPublishResult: Sendable, Hashable {
    /// Success, or "no matching subscribers" where the broker tells. QoS 0 is always success: nobody
    /// acknowledges it.
    public var reasonCode: MQTTReasonCode
}
