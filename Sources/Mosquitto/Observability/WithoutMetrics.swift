// SPDX-License-Identifier: Apache-2.0

#if !Metrics
/// Stands in for the metrics without the trait `Metrics`: it counts nothing, and no client has an instance.
final class ClientMetrics: Sendable {
    var levels: (() -> (inFlight: Int, queued: Int))? {
        get { nil }
        set {}
    }

    private init() {}

    func happened(_ kind: MQTTConnectionEvent.Kind) {}
    func entered(_ state: MQTTConnectionState) {}
    func published(_ qos: MQTTQoS, startedAt: Uptime?) {}
    func failed(_ error: MQTTError, _ count: Int = 1) {}
    func received(_ counts: SIMD4<Int>) {}
    func dropped(_ count: Int) {}
    func moved(_ new: inout Traffic) {}
    func turnEnded() {}
}
#endif
