extension ClientMetrics {
    /// Returns `nil` if metrics are off.
    convenience init?(_ configuration: MQTTMetricsConfiguration?, loop: EventLoopCore) {
        guard let configuration else { return nil }
        self.init(configuration) { _ = loop.setTimer(after: $0, $1) }
    }

    func received(_ messages: [IncomingMessage]) {
        var counts = SIMD4<Int>()
        for incoming in messages { counts[Int(incoming.message.qos.rawValue)] += 1 }
        received(counts)
    }
}
