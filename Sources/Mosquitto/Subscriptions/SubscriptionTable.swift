import OrderedCollections

/// Which filters the client subscribes to, for which consumers. A value; the loop's thread owns it.
///
/// Where filters overlap, a broker may send a message once for each of them. Such filters have Subscription Identifiers (MQTT 5.0,
/// section 3.8.2.1.2), by which a copy is told from the other; with them, each consumer gets one. See ``Choice``.
///
/// In a persistent session a filter outlives its consumers, until somebody ends it: it is kept.
struct SubscriptionTable {
    private struct Entry {
        var subscription: MQTTSubscription
        /// None if the filter is kept.
        var consumers = 0
        /// Whether the broker has granted it in this or an earlier session of this client.
        var isGranted = false
        /// Whether the broker has acknowledged it in the session that it has now, with the identifier that it has now.
        var isConfirmed = false
        /// Whether the broker ended a connection over it, or refused it to a consumer that goes on without it.
        var isRefused = false
        /// Whether the broker has refused it, and was not asked since: it does not have it.
        var isRevoked = false
        /// Only if it overlaps with another one.
        var identifier: UInt32?
        /// In the order of the calls.
        var number = 0
        /// Whether the broker was asked for it before it had its identifier: retained messages have come.
        var isRepeated = false
    }

    /// Filters that one SUBSCRIBE can carry.
    struct Group: Equatable {
        var subscriptions: [MQTTSubscription]
        var identifier: UInt32?

        var filters: [String] { subscriptions.map(\.filter.filter) }

        /// The same in packets of at most so many filters.
        func parts(of maximum: Int) -> [Group] {
            if subscriptions.count <= maximum { return [self] }
            return stride(from: 0, to: subscriptions.count, by: maximum).map { start in
                let part = subscriptions[start..<min(start + maximum, subscriptions.count)]
                return Group(subscriptions: Array(part), identifier: identifier)
            }
        }
    }

    /// Who gets the messages of a topic.
    private struct Route {
        var consumers: [MessageBuffer] = []
        /// The copies that are for the consumer at the same place.
        var choices: [Choice] = []
        /// The identifiers of all filters that match.
        var known: Set<UInt32> = []
        /// Those of filters that are kept.
        var kept: Set<UInt32> = []
    }

    /// Whether the broker takes identifiers; MQTT 3.1.1 has none.
    var usesIdentifiers = false {
        didSet { if usesIdentifiers != oldValue { routes.removeAll() } }
    }

    private var entries: [String: Entry] = [:]
    private var lastNumber = 0
    /// Those of them that have a wildcard or are shared: only they overlap with others that have none.
    private var wide: Set<String> = []
    private(set) var consumers: [MessageBuffer] = []
    /// Filters that nobody wants any more, of which the broker has not been told.
    private var abandoned: OrderedSet<String> = []
    /// The consumers of a topic: a look-up per message instead of a match per filter.
    private var routes: [String: Route] = [:]
    /// Those of an earlier run of this program are in messages that a resumed session brings: they should be others.
    private var lastIdentifier = UInt32.random(in: 1...200_000_000)

    var filters: [String] { entries.keys.sorted() }

    /// Those that have a consumer.
    var wanted: Set<String> { Set(entries.filter { $0.value.consumers > 0 }.keys) }

    /// Those that the broker has, and no consumer.
    var kept: [MQTTTopicFilter] { entries.values.filter { $0.consumers == 0 }.map(\.subscription.filter) }

    // MARK: Consumers

    mutating func add(_ consumer: MessageBuffer) {
        consumers.append(consumer)
        routes.removeAll()
        if consumer.isLocal { return }
        for subscription in consumer.subscriptions {
            let filter = subscription.filter.filter
            abandoned.remove(filter)
            if entries[filter] == nil { identifyOverlaps(of: subscription.filter, in: consumer) }
            if entries[filter]?.number ?? 0 == 0 {
                lastNumber += 1
                entries[filter, default: Entry(subscription: subscription)].number = lastNumber
            }
            entries[filter]?.consumers += 1
            // The last options count, but nobody's QoS is lowered by another consumer.
            let isShared = entries[filter]?.consumers ?? 0 > 1
            let qos =
                isShared ? max(subscription.qos, entries[filter]?.subscription.qos ?? .atMostOnce) : subscription.qos
            entries[filter]?.subscription = subscription
            entries[filter]?.subscription.qos = qos
            entries[filter]?.isConfirmed = false
            entries[filter]?.isRefused = false
            entries[filter]?.isRevoked = false
            entries[filter]?.isRepeated = false
        }
    }

    /// Gives identifiers to a new filter and to those that it overlaps with.
    private mutating func identifyOverlaps(of filter: MQTTTopicFilter, in consumer: MessageBuffer) {
        let isExact = !filter.hasWildcard && !filter.isShared
        if !isExact { wide.insert(filter.filter) }
        let others = isExact ? Array(wide) : Array(entries.keys)
        for other in others where other != filter.filter {
            guard let entry = entries[other], entry.subscription.filter.overlaps(filter, isExact: isExact) else {
                continue
            }
            if entries[filter.filter] == nil {
                entries[filter.filter] = Entry(
                    subscription: MQTTSubscription(filter, qos: .atMostOnce), identifier: nextIdentifier())
            }
            guard entry.identifier == nil else { continue }
            let identifier = nextIdentifier()
            entries[other]?.identifier = identifier
            if entry.isConfirmed { entries[other]?.isRepeated = true }
            entries[other]?.isConfirmed = false
        }
    }

    private mutating func nextIdentifier() -> UInt32 {
        lastIdentifier = lastIdentifier == 268_435_455 ? 1 : lastIdentifier + 1
        return lastIdentifier
    }

    /// Removes a consumer, and the filters that only it wanted.
    ///
    /// - Parameter keepsFilters: whether those that the broker has granted stay.
    mutating func remove(_ consumer: MessageBuffer, keepsFilters: Bool = false) {
        guard let index = consumers.firstIndex(where: { $0 === consumer }) else { return }
        consumers.remove(at: index)
        routes.removeAll()
        if consumer.isLocal { return }
        for subscription in consumer.subscriptions {
            let filter = subscription.filter.filter
            guard let entry = entries[filter] else { continue }
            if entry.consumers > 1 {
                entries[filter]?.consumers -= 1
            } else if keepsFilters, entry.isGranted {
                entries[filter]?.consumers = 0
            } else {
                forget(filter)
                // The broker does not have one that it has refused, and may object to hearing of it again.
                if !keepsFilters, !entry.isRevoked { abandoned.append(filter) }
            }
        }
    }

    private mutating func forget(_ filter: String) {
        entries[filter] = nil
        wide.remove(filter)
    }

    // MARK: The broker

    /// What the broker is to be asked for on behalf of a consumer, in groups that one SUBSCRIBE can carry.
    func groups(of consumer: MessageBuffer) -> [Group] {
        grouped(consumer.subscriptions.compactMap { entries[$0.filter.filter] })
    }

    /// Filters that have got their identifier after the broker was asked for them.
    func unidentified() -> [Group] { usesIdentifiers ? grouped(entries.values.filter(\.isRepeated)) : [] }

    /// Groups the filters for which `isWanted` is true and that the broker has not confirmed.
    func unconfirmed(where isWanted: (String) -> Bool = { _ in true }) -> [Group] {
        grouped(
            entries.values.filter {
                !$0.isConfirmed && !$0.isRefused && isWanted($0.subscription.filter.filter)
            })
    }

    private func grouped(_ entries: [Entry]) -> [Group] {
        var groups: [Group] = []
        for entry in entries.sorted(by: { $0.number < $1.number }) {
            var subscription = entry.subscription
            let identifier = usesIdentifiers ? entry.identifier : nil
            if entry.isRepeated, identifier != nil { subscription.retainHandling = .doNotSend }
            let fitting = groups.firstIndex { group in
                group.identifier == nil && identifier == nil && group.subscriptions[0].sharesPacket(with: subscription)
            }
            if let fitting {
                groups[fitting].subscriptions.append(subscription)
            } else {
                groups.append(Group(subscriptions: [subscription], identifier: identifier))
            }
        }
        return groups
    }

    /// A caller waits for the answer to these filters: they are asked for again, confirmed or not.
    mutating func expectAnswer(_ consumer: MessageBuffer) {
        for subscription in consumer.subscriptions { entries[subscription.filter.filter]?.isConfirmed = false }
    }

    mutating func confirm(_ filter: String) {
        entries[filter]?.isConfirmed = true
        entries[filter]?.isGranted = true
        entries[filter]?.isRepeated = false
        routes.removeAll()
    }

    /// Returns true for a filter that the broker has refused: there is nothing to unsubscribe from.
    func isRevoked(_ filter: String) -> Bool { entries[filter]?.isRevoked == true }

    /// The broker is being asked for these.
    mutating func noteAsked(_ filters: [String]) {
        for filter in filters { entries[filter]?.isRevoked = false }
    }

    /// Returns true for a filter that has a consumer, or is kept.
    func has(_ filter: String) -> Bool { entries[filter] != nil }

    /// The broker refused this filter, or ended a connection over it: it is not asked for again, unless another consumer wants it.
    mutating func refuse(_ filter: String) {
        entries[filter]?.isRefused = true
        revoke(filter)
    }

    /// The broker has it no more, and refuses it for now. Nothing remains of a filter that is kept.
    mutating func revoke(_ filter: String) {
        guard let entry = entries[filter] else { return }
        entries[filter]?.isGranted = false
        entries[filter]?.isRevoked = true
        entries[filter]?.isConfirmed = false
        if entry.consumers == 0 { forget(filter) }
        routes.removeAll()
    }

    /// The broker has no session: all is to be subscribed again.
    mutating func forgetSession() {
        for filter in entries.keys {
            entries[filter]?.isConfirmed = false
            entries[filter]?.isRepeated = false
        }
        abandoned.removeAll()
        routes.removeAll()
    }

    /// Takes filters of which the broker is to be told that they are not wanted, at most so many of those for which this is true.
    mutating func takeAbandoned(
        _ maximum: Int = .max, where isWanted: (String) -> Bool = { _ in true }
    ) -> [String] {
        let taken = Array(abandoned.filter(isWanted).prefix(maximum))
        abandoned.subtract(taken)
        return taken
    }

    /// Filters that the broker may have, and nobody here wants.
    ///
    /// - Parameter includingKept: whether those that are kept end.
    mutating func abandon(_ filters: [String], includingKept: Bool = false) {
        for filter in filters {
            if includingKept, entries[filter]?.consumers == 0 { forget(filter) }
            if entries[filter] == nil { abandoned.append(filter) }
        }
        routes.removeAll()
    }

    // MARK: Messages

    /// Who gets a message: each consumer once, however many of its filters match, and however many copies the broker sends.
    mutating func consumers(of topic: String, _ identifiers: [UInt32], isRetained: Bool = false) -> [MessageBuffer] {
        let route = route(of: topic)
        // Without an identifier of ours nothing tells copies apart: better one too many than none.
        if identifiers.isEmpty || route.known.isDisjoint(with: identifiers) { return route.consumers }
        return zip(route.consumers, route.choices).compactMap { consumer, choice in
            choice.takes(identifiers, isRetained: isRetained) ? consumer : nil
        }
    }

    /// Returns true for a copy that nobody takes, since each consumer that it is for takes another copy of the same message.
    mutating func isRedundant(_ topic: String, _ identifiers: [UInt32]) -> Bool {
        let route = route(of: topic)
        return !identifiers.isEmpty && route.known.subtracting(route.kept).isSuperset(of: identifiers)
    }

    private mutating func route(of topic: String) -> Route {
        if let known = routes[topic] { return known }
        if routes.count >= 10_000 { routes.removeAll() }
        var route = Route()
        for consumer in consumers {
            let matching = consumer.subscriptions.filter { $0.filter.matches(topic) }
            if matching.isEmpty { continue }
            route.consumers.append(consumer)
            if consumer.isLocal {
                route.choices.append(Choice())
                continue
            }
            let confirmed = matching.compactMap { self.entries[$0.filter.filter] }
                .filter { $0.isConfirmed && usesIdentifiers }
            route.known.formUnion(confirmed.compactMap(\.identifier))
            // Each copy is certain to come with an identifier.
            let isCertain = confirmed.count == matching.count
            route.choices.append(isCertain ? Choice(confirmed.map { ($0.subscription, $0.identifier) }) : Choice())
        }
        if usesIdentifiers {
            // A copy for a filter that is kept is for its next consumer.
            for entry in entries.values where entry.consumers == 0 && entry.subscription.filter.matches(topic) {
                guard let identifier = entry.identifier else { continue }
                route.known.insert(identifier)
                route.kept.insert(identifier)
            }
        }
        routes[topic] = route
        return route
    }
}
