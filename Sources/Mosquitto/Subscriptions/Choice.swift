// SPDX-License-Identifier: Apache-2.0

/// The copies of a message that a consumer accepts, if several of its filters match and the broker sends a copy for
/// each, with the Subscription Identifier of the filter (MQTT 5.0, section 3.3.4).
///
/// A copy is discarded only if the accepted one is certain to arrive with it. A shared filter's copy is a separate
/// message (section 4.8.2), and the broker chooses its receiver. A filter with noLocal matches fewer messages than one
/// without. Filters with different Retain As Published yield different messages. Of filters with different Retain
/// Handling, each may be the only one that yields a retained message.
struct Choice {
    /// The identifiers of the accepted copies; `nil` for all.
    private var taken: [UInt32]?
    /// The identifiers of the copies that are accepted if they are retained messages.
    private var retained: [UInt32] = []

    /// Accepts all copies.
    init() {}

    /// Creates the choice from the filters of one consumer that match a topic, with their identifiers. If one has no
    /// identifier, all copies are accepted.
    init(_ matching: [(subscription: MQTTSubscription, identifier: UInt32?)]) {
        let identified = matching.compactMap { filter in filter.identifier.map { (filter.subscription, $0) } }
        guard identified.count == matching.count else { return }
        var taken: [UInt32] = []
        for keepsFlag in [false, true] {
            let group = identified.filter { !$0.0.filter.isShared && $0.0.retainAsPublished == keepsFlag }
            taken += Self.distinct(group)
            // Each SUBSCRIBE of a consumer yields the retained messages of all its filters, or of some.
            if group.contains(where: { $0.0.retainHandling != .sendOnSubscribe }) { retained += group.map(\.1) }
        }
        self.taken = taken + identified.filter(\.0.filter.isShared).map(\.1)
    }

    /// Returns the filter with the highest QoS, and those that may yield other messages. Of equal filters, only the
    /// first.
    private static func distinct(_ group: [(MQTTSubscription, UInt32)]) -> [UInt32] {
        let plain = group.filter { !$0.0.noLocal }
        let candidates = plain.isEmpty ? group : plain
        guard var best = candidates.first else { return [] }
        for candidate in candidates where candidate.0.qos > best.0.qos { best = candidate }
        let better = group.filter { $0.0.noLocal && $0.0.qos > best.0.qos }
        return [best.1] + better.map(\.1)
    }

    /// Returns true if a copy with these identifiers is accepted.
    func takes(_ identifiers: [UInt32], isRetained: Bool) -> Bool {
        guard let taken else { return true }
        return identifiers.contains { taken.contains($0) || isRetained && retained.contains($0) }
    }
}
