/// Which filters the client subscribes to, for which consumers. A value; the loop's thread owns it.
struct SubscriptionTable {
    private struct Entry {
        var subscription: MQTTSubscription
        var consumers = 0
        /// Whether the broker has acknowledged it in the session that it has now.
        var isConfirmed = false
        /// Whether the broker ended a connection over it.
        var isRefused = false
    }

    private var entries: [String: Entry] = [:]
    private(set) var consumers: [MessageBuffer] = []
    /// Filters that nobody wants any more, of which the broker has not been told.
    private var abandoned: Set<String> = []
    /// The consumers of a topic: a look-up per message instead of a match per filter.
    private var routes: [String: [MessageBuffer]] = [:]

    var filters: [String] { entries.keys.sorted() }

    mutating func add(_ consumer: MessageBuffer) {
        consumers.append(consumer)
        routes.removeAll()
        for subscription in consumer.subscriptions {
            let filter = subscription.filter.filter
            abandoned.remove(filter)
            entries[filter, default: Entry(subscription: subscription)].consumers += 1
            // The last options count, but nobody's QoS is lowered by another consumer.
            let qos = max(subscription.qos, entries[filter]?.subscription.qos ?? .atMostOnce)
            entries[filter]?.subscription = subscription
            entries[filter]?.subscription.qos = qos
            entries[filter]?.isConfirmed = false
            entries[filter]?.isRefused = false
        }
    }

    /// The broker ended a connection over this filter: it is not asked for again, unless another consumer wants it.
    mutating func refuse(_ filter: String) { entries[filter]?.isRefused = true }

    /// What the broker is to be asked for on behalf of a consumer, in groups that one SUBSCRIBE can carry.
    func groups(of consumer: MessageBuffer) -> [[MQTTSubscription]] {
        Self.grouped(consumer.subscriptions.compactMap { entries[$0.filter.filter]?.subscription })
    }

    /// A caller waits for the answer to these filters: they are asked for again, confirmed or not.
    mutating func expectAnswer(_ consumer: MessageBuffer) {
        for subscription in consumer.subscriptions { entries[subscription.filter.filter]?.isConfirmed = false }
    }

    /// Removes a consumer, and the filters that only it wanted.
    mutating func remove(_ consumer: MessageBuffer) {
        guard let index = consumers.firstIndex(where: { $0 === consumer }) else { return }
        consumers.remove(at: index)
        routes.removeAll()
        for subscription in consumer.subscriptions {
            let filter = subscription.filter.filter
            guard let entry = entries[filter] else { continue }
            if entry.consumers > 1 {
                entries[filter]?.consumers -= 1
            } else {
                entries[filter] = nil
                abandoned.insert(filter)
            }
        }
    }

    /// The broker has no session: all is to be subscribed again.
    mutating func forgetSession() {
        for filter in entries.keys { entries[filter]?.isConfirmed = false }
        abandoned.removeAll()
    }

    mutating func confirm(_ filter: String) { entries[filter]?.isConfirmed = true }

    /// What the broker has not confirmed, in groups that one SUBSCRIBE can carry (same QoS and options).
    func unconfirmed() -> [[MQTTSubscription]] {
        Self.grouped(entries.values.filter { !$0.isConfirmed && !$0.isRefused }.map(\.subscription))
    }

    static func grouped(_ subscriptions: [MQTTSubscription]) -> [[MQTTSubscription]] {
        Dictionary(grouping: subscriptions) { [$0.qos.rawValue, $0.options] }.values
            .map { $0.sorted { $0.filter.filter < $1.filter.filter } }
            .sorted { $0[0].filter.filter < $1[0].filter.filter }
    }

    /// Takes the filters of which the broker is to be told that they are not wanted.
    mutating func takeAbandoned() -> [String] {
        defer { abandoned.removeAll() }
        return abandoned.sorted()
    }

    /// Who gets a message: each consumer once, however many of its filters match.
    mutating func consumers(of topic: String) -> [MessageBuffer] {
        if let known = routes[topic] { return known }
        if routes.count >= 10_000 { routes.removeAll() }
        let matching = consumers.filter { $0.subscriptions.contains { $0.filter.matches(topic) } }
        routes[topic] = matching
        return matching
    }
}
