// SPDX-License-Identifier: Apache-2.0

extension ClientMetrics {
    /// Returns `nil` if metrics are off.
    convenience init?(_ configuration: MQTTClientConfiguration, loop: EventLoopCore) {
        #if Metrics
        guard let metrics = configuration.metrics else { return nil }
        self.init(metrics) { _ = loop.setTimer(after: $0, $1) }
        #else
        return nil
        #endif
    }

    func received(_ messages: [IncomingMessage]) {
        var counts = SIMD4<Int>()
        for incoming in messages { counts[Int(incoming.message.qos.rawValue)] += 1 }
        received(counts)
    }
}
