// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The connection handling of one of mosquitto's commands, used unless `--retry` is given.
enum CommandBehavior: Sendable {
    /// `mosquitto_pub`: any failure ends it.
    case publish
    /// `mosquitto_pub -l`, on the thread of `mosquitto_loop_start`: like ``subscribe``.
    case publishLines
    /// `mosquitto_sub`, in `mosquitto_loop_forever`: reconnects one second after a connection is lost.
    case subscribe
    /// `mosquitto_rr`: any failure ends it.
    case request

    /// True if the command still prints the messages it has received after the client has ended.
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

    /// `mosquitto_loop_forever` returns after a refusal and after an error that it considers fatal. Before that,
    /// `mosquitto_connect` makes the first connection, up to the CONNECT packet, and a failure there ends the command.
    @Sendable
    private static func loopForever(_ failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        switch failure.error.phase {
        case .connack:
            failure.error.reasonCode != nil || failure.error.code == .protocolViolation ? .stop : .retry(.standard)
        // A DISCONNECT (MQTT 5.0) ends the command, but is not a failure.
        case .connected where failure.error.rawReasonCode != nil:
            .stop
        case .connected:
            [.tlsAlert, .tlsProtocol, .protocolViolation].contains(failure.error.code) ? .stop : .retry(.standard)
        default:
            failure.isInitial && failure.attempt == 1 ? .stop : .retry(.standard)
        }
    }
}
