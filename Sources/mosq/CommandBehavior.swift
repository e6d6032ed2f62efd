import Mosquitto

/// What one of mosquitto's commands does about its connection when `--retry` is not given.
enum CommandBehavior: Sendable {
    /// `mosquitto_pub`: any failure ends it.
    case publish
    /// `mosquitto_pub -l`, on the thread of `mosquitto_loop_start`: as ``subscribe``.
    case publishLines
    /// `mosquitto_sub`, in `mosquitto_loop_forever`: a lost connection is made again after a second.
    case subscribe
    /// `mosquitto_rr`: any failure ends it.
    case request

    /// Whether it goes on to print what it has received when the client has ended.
    var isReceiver: Bool { self == .subscribe || self == .request }

    var policy: MQTTRetryPolicy {
        if self == .publish || self == .request { return .none }
        var policy = MQTTRetryPolicy()
        // libmosquitto: reconnect_delay and reconnect_delay_max are 1 s.
        policy.baseDelay = .seconds(1)
        policy.maximumDelay = .seconds(1)
        policy.minimumDelay = .seconds(1)
        policy.decide = Self.loopForever
        return policy
    }

    /// `mosquitto_loop_forever` ends at a refusal and at what it takes for fatal. Before it, `mosquitto_connect` has made the
    /// first connection, up to the CONNECT packet, and its failure is the end.
    @Sendable
    private static func loopForever(_ failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        switch failure.error.phase {
        case .connack:
            failure.error.reasonCode != nil || failure.error.code == .protocolViolation ? .stop : .retry(.standard)
        // A DISCONNECT (MQTT 5.0) is the end, and no failure.
        case .connected where failure.error.rawReasonCode != nil:
            .stop
        case .connected:
            [.tlsAlert, .tlsProtocol, .protocolViolation].contains(failure.error.code) ? .stop : .retry(.standard)
        default:
            failure.isInitial && failure.attempt == 1 ? .stop : .retry(.standard)
        }
    }
}
