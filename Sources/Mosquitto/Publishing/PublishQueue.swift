/// Outgoing messages in the order of their calls: those of QoS 0 in a list of their own, so that the oldest of them is found at once.
struct PublishQueue: ~Copyable {
    private(set) var atMostOnce = PublishList()
    private(set) var acknowledged = PublishList()

    var isEmpty: Bool { count == 0 }
    var count: Int { atMostOnce.count + acknowledged.count }
    var bytes: Int { atMostOnce.bytes + acknowledged.bytes }
    /// How many have a Message Expiry Interval.
    var expiring: Int { atMostOnce.expiring + acknowledged.expiring }

    /// The next message: the older one of the two that head the lists.
    var first: OutgoingPublish? {
        guard let one = atMostOnce.first else { return acknowledged.first }
        guard let other = acknowledged.first else { return one }
        return one.sequence <= other.sequence ? one : other
    }

    /// Adds a message that is newer than all of its list.
    mutating func append(_ publish: OutgoingPublish) {
        if publish.qos == .atMostOnce { atMostOnce.append(publish) } else { acknowledged.append(publish) }
    }

    /// Puts back messages in their places. Cheap if these are near the front, and for many in their order.
    mutating func putBack(_ old: [OutgoingPublish]) {
        for publish in old.reversed() {
            if publish.qos == .atMostOnce { atMostOnce.putBack(publish) } else { acknowledged.putBack(publish) }
        }
    }

    mutating func popFirst() -> OutgoingPublish? { popFirst { _ in true } }

    /// Takes the next message if this permits it.
    mutating func popFirst(if permits: (OutgoingPublish) -> Bool) -> OutgoingPublish? {
        guard let publish = first, permits(publish) else { return nil }
        return publish.qos == .atMostOnce ? atMostOnce.popFirst() : acknowledged.popFirst()
    }

    mutating func popFirstAtMostOnce() -> OutgoingPublish? { atMostOnce.popFirst() }

    /// Removes a message that is in this queue or in none.
    mutating func remove(_ publish: OutgoingPublish) {
        guard publish.isListed else { return }
        if publish.qos == .atMostOnce { atMostOnce.remove(publish) } else { acknowledged.remove(publish) }
    }

    /// Takes out the messages for which this is true, in their order.
    mutating func remove(where isUnwanted: (OutgoingPublish) -> Bool) -> [OutgoingPublish] {
        let (one, other) = (atMostOnce.remove(where: isUnwanted), acknowledged.remove(where: isUnwanted))
        if one.isEmpty || other.isEmpty { return one + other }
        return (one + other).sorted { $0.sequence < $1.sequence }
    }

    mutating func takeAll() -> [OutgoingPublish] { isEmpty ? [] : remove { _ in true } }
}
