// SPDX-License-Identifier: Apache-2.0

#if Metrics
public import CoreMetrics

/// The configuration of the metrics that a client reports through
/// [swift-metrics](https://github.com/apple/swift-metrics). <doc:Observability> lists the names.
///
/// If the process has bootstrapped no metrics system and `factory` is `nil`, the client counts nothing.
public struct MQTTMetricsConfiguration: Sendable {
    /// The factory of the metrics. Default `nil`: the `MetricsSystem` of the process, at the time the client is
    /// created.
    public var factory: (any MetricsFactory)?
    /// Additional dimensions of every metric, as names and values. Default none.
    ///
    /// Counters and levels of clients with the same dimensions add up. By default the client identifier is not a
    /// dimension: the number of clients is unbounded, and each would be a separate series. To distinguish a few clients
    /// with stable names, add `[("client_id", configuration.clientID)]`.
    public var dimensions: [(String, String)] = []
    /// The interval at which changes are reported: a message costs an addition, and an interval one report. Above zero.
    /// Default 1 s.
    public var interval: Duration = .seconds(1)

    public init(factory: (any MetricsFactory)? = nil, dimensions: [(String, String)] = []) {
        self.factory = factory
        self.dimensions = dimensions
    }

    func validate() throws(MQTTError) {
        if interval <= .zero {
            throw .invalid(.invalidConfiguration, "metrics interval is \(interval); it must be above zero")
        }
    }
}
#endif
