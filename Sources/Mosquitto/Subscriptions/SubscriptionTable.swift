// SPDX-License-Identifier: Apache-2.0

import OrderedCollections

/// The client's filters and their consumers. A value; the loop's thread owns it.
///
/// If filters overlap, a broker may send a message once for each of them. Overlapping filters have Subscription
/// Identifiers (MQTT 5.0, section 3.8.2.1.2), which distinguish the copies, so that each consumer receives one. See
/// ``Choice``.
///
/// In a persistent session a filter outlives its consumers until it is unsubscribed: it is then called kept.
struct SubscriptionTable {
    private struct Entry {
        var subscription: MQTTSubscription
        /// Number of consumers; zero for a kept filter.
        var consumers = 0
        /// True if the broker has granted the filter in this or an earlier session of this client.
        var isGranted = false
        /// True if the broker has acknowledged the filter in its current session, with the filter's current identifier.
        var isConfirmed = false
        /// True if the broker closed a connection because of the filter, or refused it to a consumer that carries on
        /// without it.
        var isRefused = false
        /// True if the broker has refused the filter, and was not asked for it since.
        var isRevoked = false
        /// The Subscription Identifier, if the filter overlaps with another one.
        var identifier: UInt32?
        /// The position of the filter in the order of the calls.
        var number = 0
        /// True if the broker was asked for the filter before the filter had its identifier, and has sent its retained
        /// messages.
        var isRepeated = false
    }

    /// Filters that can share a SUBSCRIBE.
    struct Group: Equatable {
        var subscriptions: [MQTTSubscription]
        var identifier: UInt32?

        var filters: [String] { subscriptions.map(\.filter.filter) }

        /// Splits the group into packets of at most `maximum` filters.
        func parts(of maximum: Int) -> [Group] {
            if subscriptions.count <= maximum { return [self] }
            return stride(from: 0, to: subscriptions.count, by: maximum).map { start in
                let part = subscriptions[start..<min(start + maximum, subscriptions.count)]
                return Group(subscriptions: Array(part), identifier: identifier)
            }
        }
    }

    /// The consumers of a topic.
    private struct Route {
        var consumers: [MessageBuffer] = []
        /// The copies accepted by the consumer at the same index.
        var choices: [Choice] = []
        /// The identifiers of all matching filters.
        var known: Set<UInt32> = []
        /// The identifiers of matching filters that are kept.
        var kept: Set<UInt32> = []
    }

    /// True if the broker supports identifiers; MQTT 3.1.1 has none.
    var usesIdentifiers = false {
        didSet { if usesIdentifiers != oldValue { routes.removeAll() } }
    }

    private var entries: [String: Entry] = [:]
    private var lastNumber = 0
    /// The filters that have a wildcard or are shared: a filter with neither overlaps only with these.
    private var wide: Set<String> = []
    private(set) var consumers: [MessageBuffer] = []
    /// Filters without a consumer from which the client has not unsubscribed yet.
    private var abandoned: OrderedSet<String> = []
    /// A cache of routes by topic: one look-up per message instead of a match per filter.
    private var routes = TopicCache<Route>()
    /// The last identifier. It starts at random, since messages of a resumed session may carry identifiers of an
    /// earlier run.
    private var lastIdentifier = UInt32.random(in: 1...200_000_000)

    var filters: [String] { entries.keys.sorted() }

    /// The filters that have a consumer.
    var wanted: Set<String> { Set(entries.filter { $0.value.consumers > 0 }.keys) }

    /// The filters that the broker has granted and that have no consumer.
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
            // The options of the last call apply, but it does not lower the QoS of other consumers.
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

    /// Assigns identifiers to a new filter and to those that overlap with it.
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

    /// Removes a consumer, and the filters that no other consumer uses.
    ///
    /// - Parameter keepsFilters: true to keep the filters that the broker has granted.
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
                // The broker has no subscription for a refused filter, and may object to an UNSUBSCRIBE.
                if !keepsFilters, !entry.isRevoked { abandoned.append(filter) }
            }
        }
    }

    private mutating func forget(_ filter: String) {
        entries[filter] = nil
        wide.remove(filter)
    }

    // MARK: The broker

    /// Returns the filters to subscribe to for a consumer, in groups that can share a SUBSCRIBE.
    func groups(of consumer: MessageBuffer) -> [Group] {
        grouped(consumer.subscriptions.compactMap { entries[$0.filter.filter] })
    }

    /// Returns the filters that got their identifier after the broker was asked for them.
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

    /// Marks the filters of a consumer as unconfirmed, so that they are subscribed to again: a caller waits for the
    /// answer.
    mutating func expectAnswer(_ consumer: MessageBuffer) {
        for subscription in consumer.subscriptions { entries[subscription.filter.filter]?.isConfirmed = false }
    }

    mutating func confirm(_ filter: String) {
        entries[filter]?.isConfirmed = true
        entries[filter]?.isGranted = true
        entries[filter]?.isRepeated = false
        routes.removeAll()
    }

    /// Returns true for a filter that the broker has refused, and that needs no UNSUBSCRIBE.
    func isRevoked(_ filter: String) -> Bool { entries[filter]?.isRevoked == true }

    /// Records that a SUBSCRIBE for these filters is being sent.
    mutating func noteAsked(_ filters: [String]) {
        for filter in filters { entries[filter]?.isRevoked = false }
    }

    /// Returns true for a filter that has a consumer, or is kept.
    func has(_ filter: String) -> Bool { entries[filter] != nil }

    /// Records that the broker refused the filter, or closed a connection because of it: the client does not subscribe
    /// to it again, unless another consumer uses it.
    mutating func refuse(_ filter: String) {
        entries[filter]?.isRefused = true
        revoke(filter)
    }

    /// Records that the broker has dropped the filter and refuses it for now. A kept filter is removed.
    mutating func revoke(_ filter: String) {
        guard let entry = entries[filter] else { return }
        entries[filter]?.isGranted = false
        entries[filter]?.isRevoked = true
        entries[filter]?.isConfirmed = false
        if entry.consumers == 0 { forget(filter) }
        routes.removeAll()
    }

    /// Records that the broker has no session: all filters must be subscribed to again.
    mutating func forgetSession() {
        for filter in entries.keys {
            entries[filter]?.isConfirmed = false
            entries[filter]?.isRepeated = false
        }
        abandoned.removeAll()
        routes.removeAll()
    }

    /// Removes and returns at most `maximum` abandoned filters that need an UNSUBSCRIBE and for which `isWanted` is
    /// true.
    mutating func takeAbandoned(
        _ maximum: Int = .max, where isWanted: (String) -> Bool = { _ in true }
    ) -> [String] {
        let taken = Array(abandoned.filter(isWanted).prefix(maximum))
        abandoned.subtract(taken)
        return taken
    }

    /// Marks filters that the broker may have and that no consumer uses.
    ///
    /// - Parameter includingKept: true to end kept filters too.
    mutating func abandon(_ filters: [String], includingKept: Bool = false) {
        for filter in filters {
            if includingKept, entries[filter]?.consumers == 0 { forget(filter) }
            if entries[filter] == nil { abandoned.append(filter) }
        }
        routes.removeAll()
    }

    // MARK: Messages

    /// Returns the consumers of a message: each one once, however many of its filters match and however many copies the
    /// broker sends.
    mutating func consumers(of topic: String, _ identifiers: [UInt32], isRetained: Bool = false) -> [MessageBuffer] {
        let route = route(of: topic)
        // Without a known identifier the copies cannot be distinguished: a duplicate is better than a loss.
        if identifiers.isEmpty || route.known.isDisjoint(with: identifiers) { return route.consumers }
        return zip(route.consumers, route.choices).compactMap { consumer, choice in
            choice.takes(identifiers, isRetained: isRetained) ? consumer : nil
        }
    }

    /// Returns true for a copy that no consumer accepts, since each one accepts another copy of the same message.
    mutating func isRedundant(_ topic: String, _ identifiers: [UInt32]) -> Bool {
        let route = route(of: topic)
        return !identifiers.isEmpty && route.known.subtracting(route.kept).isSuperset(of: identifiers)
    }

    /// Number of bytes of the topics whose routes are kept.
    var cachedBytes: Int { routes.bytes }

    private mutating func route(of topic: String) -> Route {
        if let known = routes[topic] { return known }
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
            // Each copy is certain to have an identifier.
            let isCertain = confirmed.count == matching.count
            route.choices.append(isCertain ? Choice(confirmed.map { ($0.subscription, $0.identifier) }) : Choice())
        }
        if usesIdentifiers {
            // A copy for a kept filter belongs to its next consumer.
            for entry in entries.values where entry.consumers == 0 && entry.subscription.filter.matches(topic) {
                guard let identifier = entry.identifier else { continue }
                route.known.insert(identifier)
                route.kept.insert(identifier)
            }
        }
        routes.keep(route, for: topic)
        return route
    }
}
