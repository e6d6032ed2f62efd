// SPDX-License-Identifier: Apache-2.0

/// Outgoing messages in the order of their calls. Those of QoS 0 are in a separate list, so that the oldest one is
/// found at once.
struct PublishQueue: ~Copyable {
    private(set) var atMostOnce = PublishList()
    private(set) var acknowledged = PublishList()

    var isEmpty: Bool { count == 0 }
    var count: Int { atMostOnce.count + acknowledged.count }
    var bytes: Int { atMostOnce.bytes + acknowledged.bytes }
    /// Number of messages with a Message Expiry Interval.
    var expiring: Int { atMostOnce.expiring + acknowledged.expiring }

    /// The next message: the older of the two lists' first messages.
    var first: OutgoingPublish? {
        guard let one = atMostOnce.first else { return acknowledged.first }
        guard let other = acknowledged.first else { return one }
        return one.sequence <= other.sequence ? one : other
    }

    /// Appends a message, which must be newer than all of its list.
    mutating func append(_ publish: OutgoingPublish) {
        if publish.qos == .atMostOnce { atMostOnce.append(publish) } else { acknowledged.append(publish) }
    }

    /// Inserts messages at the places given by their calls. Cheap if these are near the front, and for many messages in
    /// order.
    mutating func putBack(_ old: [OutgoingPublish]) {
        for publish in old.reversed() {
            if publish.qos == .atMostOnce { atMostOnce.putBack(publish) } else { acknowledged.putBack(publish) }
        }
    }

    mutating func popFirst() -> OutgoingPublish? { popFirst { _ in true } }

    /// Removes and returns the next message if `permits` returns true.
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

    /// Removes and returns the messages for which `isUnwanted` is true, in order.
    mutating func remove(where isUnwanted: (OutgoingPublish) -> Bool) -> [OutgoingPublish] {
        let (one, other) = (atMostOnce.remove(where: isUnwanted), acknowledged.remove(where: isUnwanted))
        if one.isEmpty || other.isEmpty { return one + other }
        return (one + other).sorted { $0.sequence < $1.sequence }
    }

    mutating func takeAll() -> [OutgoingPublish] { isEmpty ? [] : remove { _ in true } }
}
