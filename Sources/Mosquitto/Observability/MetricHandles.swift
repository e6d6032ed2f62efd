// SPDX-License-Identifier: Apache-2.0

#if Metrics
import CoreMetrics
import Synchronization

/// The metrics of a client, created by the metrics system.
struct MetricHandles: Sendable {
    /// Number of clients in each state, by the state's name.
    let states: [String: Meter]
    let attempts: Counter
    let connectDuration: Timer
    let rotations: Counter
    let rotationGap: Timer
    let tokenAge: Meter
    let inFlight: Meter
    let queued: Meter
    let publishDuration: Timer
    /// By QoS.
    let published: [Counter]
    let received: [Counter]
    let dropped: Counter
    let queueDropped: Counter
    let sentBytes: Counter
    let receivedBytes: Counter
    let rare: RareCounters

    init(_ factory: any MetricsFactory, _ dimensions: [(String, String)]) {
        func counter(_ name: String, _ own: (String, String)...) -> Counter {
            Counter(label: metricPrefix + name, dimensions: dimensions + own, factory: factory)
        }
        func meter(_ name: String, _ own: (String, String)...) -> Meter {
            Meter(label: metricPrefix + name, dimensions: dimensions + own, factory: factory)
        }
        func timer(_ name: String) -> Timer {
            Timer(
                label: metricPrefix + name, dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
        }
        rare = RareCounters(factory, dimensions)
        states = Dictionary(
            uniqueKeysWithValues: MQTTConnectionState.measured.map { ($0, meter("connection_state", ("state", $0))) })
        attempts = counter("connect_attempts_total")
        connectDuration = timer("connect_duration_seconds")
        rotations = counter("credential_rotations_total")
        rotationGap = timer("rotation_gap_seconds")
        tokenAge = meter("token_age_seconds")
        inFlight = meter("in_flight")
        queued = meter("queued_messages")
        publishDuration = timer("publish_duration_seconds")
        published = MQTTQoS.allCases.map { counter("published_total", ("qos", "\($0.rawValue)")) }
        received = MQTTQoS.allCases.map { counter("received_total", ("qos", "\($0.rawValue)")) }
        sentBytes = counter("sent_bytes_total")
        dropped = counter("dropped_total")
        queueDropped = counter("queue_dropped_total")
        receivedBytes = counter("received_bytes_total")
    }
}

private let metricPrefix = "mqtt_client_"

/// Counters of rare events, created on the first event, on any thread. Their own dimensions have a fixed set of values,
/// which bounds the number of counters.
final class RareCounters: Sendable {
    private let factory: any MetricsFactory
    private let dimensions: [(String, String)]
    private let known = Mutex<[String: Counter]>([:])

    init(_ factory: any MetricsFactory, _ dimensions: [(String, String)]) {
        self.factory = factory
        self.dimensions = dimensions
    }

    func count(_ name: String, _ own: (String, String)..., by count: Int = 1) {
        let key = own.reduce(name) { "\($0),\($1.1)" }
        let counter = known.withLock { known in
            if let counter = known[key] { return counter }
            let made = Counter(label: metricPrefix + name, dimensions: dimensions + own, factory: factory)
            known[key] = made
            return made
        }
        counter.increment(by: count)
    }
}

extension MQTTConnectionState {
    /// The states in which a client is counted; a client that has not started or has stopped is not.
    static let measured = ["connecting", "waiting", "connected", "disconnecting"]

    /// The state's name as a dimension; `nil` if it is not counted.
    var measuredName: String? {
        switch self {
        case .idle, .stopped: nil
        case .connecting: "connecting"
        case .waiting: "waiting"
        case .connected: "connected"
        case .disconnecting: "disconnecting"
        }
    }
}
#endif
