// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The delays of another client library, taken from its source.
protocol PeerPolicy: Sendable {
    /// - Parameter failures: attempts that have failed since the connection was lost. The first delay, for 0, follows the
    ///   loss.
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration
}

extension PeerPolicy {
    /// 1, 2, 4, ... seconds, without a cap that a simulation could reach.
    fileprivate func doubled(_ failures: Int) -> Double { Double(UInt64(1) << min(failures, 62)) }
}

/// MQTT.js 5: `reconnectPeriod`, by default 1,000 ms. src/lib/client.ts, `_setupReconnect`.
struct MQTTJSPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration { .seconds(1) }
}

/// libmosquitto with `mosquitto_reconnect_delay_set(2, 10, false)`, the first example in mosquitto.h. Without that call a
/// client dials each second, as MQTT.js does. libmosquitto 2.0.11: lib/loop.c, `mosquitto_loop_forever`.
struct MosquittoLinearPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration {
        .seconds(min(2 * (failures + 1), 10))
    }
}

/// libmosquitto with `mosquitto_reconnect_delay_set(3, 30, true)`, the second example in mosquitto.h. The delays that
/// it calls exponential are quadratic: 3, 12, 27, 30 s, not the 3, 6, 12, 24, 30 s of the example. libmosquitto 2.0.11:
/// lib/loop.c, `mosquitto_loop_forever`.
struct MosquittoQuadraticPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration {
        let step = min(failures, 9) + 1
        return .seconds(min(3 * step * step, 30))
    }
}

/// Eclipse Paho C with `automaticReconnect` and its defaults, 1 s to 60 s. src/MQTTAsyncUtils.c,
/// `MQTTAsync_randomJitter` and `MQTTAsync_startConnectRetry`: whole seconds, and both ends are drawn.
struct PahoCPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration {
        let base = min(doubled(failures), 60)
        let least = Int(max(base, 1) / 1.2)
        let most = Int(min(base, 60) * 1.2)
        return .seconds(least >= most ? least : Int.random(in: least...most, using: &generator))
    }
}

/// HiveMQ MQTT Client for Java with `automaticReconnectWithDefaultConfig`, 1 s to 120 s.
/// com/hivemq/client/internal/mqtt/lifecycle/MqttClientAutoReconnectImpl.java, `onDisconnected`: a quarter more or less.
struct HiveMQPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration {
        .seconds(min(doubled(failures), 120) * Double.random(in: 0.75...1.25, using: &generator))
    }
}

/// aws-c-mqtt's MQTT 5 client, which AWS's IoT SDKs share: full jitter, 1 s to 120 s. source/v5/mqtt5_client.c,
/// `s_update_reconnect_delay_for_pending_reconnect`: the cap applies after the draw, so that with each failure more
/// clients wait for exactly 120 s.
struct AWSPolicy: PeerPolicy {
    func delay(failures: Int, using generator: inout JitterGenerator) -> Duration {
        .seconds(min(Double.random(in: 0...doubled(failures), using: &generator), 120))
    }
}
