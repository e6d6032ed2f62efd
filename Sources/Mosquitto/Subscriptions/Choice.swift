/// The copies of a message that one consumer takes, where several of its filters match and the broker sends a copy for each, with the
/// Subscription Identifier of the filter (MQTT 5.0, section 3.3.4).
///
/// Copies are merged only where the one that is taken is certain to come whenever the other comes. A shared filter's copy is a
/// message of its own (section 4.8.2): which client gets it is the broker's choice. A filter with noLocal brings less than one
/// without. Filters with different Retain As Published bring messages that differ. And of filters with different Retain Handling
/// each may be the only one that brings a retained message.
struct Choice {
    /// The identifiers of the copies that are taken; `nil` for all.
    private var taken: [UInt32]?
    /// The identifiers of the copies that are taken if they are retained messages.
    private var retained: [UInt32] = []

    /// All copies.
    init() {}

    /// Filters of one consumer that match a topic, with their identifiers. One without an identifier makes every copy count.
    init(_ matching: [(subscription: MQTTSubscription, identifier: UInt32?)]) {
        let identified = matching.compactMap { filter in filter.identifier.map { (filter.subscription, $0) } }
        guard identified.count == matching.count else { return }
        var taken: [UInt32] = []
        for keepsFlag in [false, true] {
            let group = identified.filter { !$0.0.filter.isShared && $0.0.retainAsPublished == keepsFlag }
            taken += Self.distinct(group)
            // Each SUBSCRIBE of a consumer brings the retained messages of all its filters, or of some.
            if group.contains(where: { $0.0.retainHandling != .sendOnSubscribe }) { retained += group.map(\.1) }
        }
        self.taken = taken + identified.filter(\.0.filter.isShared).map(\.1)
    }

    /// The filter with the highest QoS, and those that may bring what it does not. Of filters that are equal, the first.
    private static func distinct(_ group: [(MQTTSubscription, UInt32)]) -> [UInt32] {
        let plain = group.filter { !$0.0.noLocal }
        let candidates = plain.isEmpty ? group : plain
        guard var best = candidates.first else { return [] }
        for candidate in candidates where candidate.0.qos > best.0.qos { best = candidate }
        let better = group.filter { $0.0.noLocal && $0.0.qos > best.0.qos }
        return [best.1] + better.map(\.1)
    }

    /// Whether a copy with these identifiers is taken.
    func takes(_ identifiers: [UInt32], isRetained: Bool) -> Bool {
        guard let taken else { return true }
        return identifiers.contains { taken.contains($0) || isRetained && retained.contains($0) }
    }
}
