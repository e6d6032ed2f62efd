public import CoreMetrics

/// What a client tells [swift-metrics](https://github.com/apple/swift-metrics). The names are in `docs/observability.md`.
///
/// Where the process has bootstrapped no metrics system, and gives none here, nothing is counted.
public struct MQTTMetricsConfiguration: Sendable {
    /// Where the metrics go; `nil`, the default, for the `MetricsSystem` of the process, as it is when the client is made.
    public var factory: (any MetricsFactory)?
    /// Dimensions of every metric beside its own, as names and values. Default none.
    ///
    /// Counters and levels of clients with the same dimensions add up. The client identifier is none of them by default:
    /// there may be any number of them, and each would be a series of its own. For a few clients with names that stay,
    /// `[("client_id", configuration.clientID)]` tells them apart.
    public var dimensions: [(String, String)] = []
    /// How long what happened may wait until it is told: per message there is an addition, and per interval a report. Above
    /// zero. Default 1 s.
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
