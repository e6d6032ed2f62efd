// SPDX-License-Identifier: Apache-2.0

/// Unacknowledged messages of QoS 1 and 2, by packet identifier.
struct InFlightPublishes {
    private let identifiers: PacketIdentifiers
    private var publishes: [UInt16: OutgoingPublish] = [:]
    /// Number of messages of QoS 2.
    private(set) var exactlyOnce = 0
    /// Number of messages with a Message Expiry Interval.
    private(set) var expiring = 0

    init(_ identifiers: PacketIdentifiers) { self.identifiers = identifiers }

    var isEmpty: Bool { publishes.isEmpty }
    var count: Int { publishes.count }
    var all: some Collection<OutgoingPublish> { publishes.values }

    /// The packet identifiers in the order in which the messages were first sent.
    var packetIDs: [UInt16] { publishes.sorted { $0.value.sequence < $1.value.sequence }.map(\.key) }

    subscript(packetID: UInt16) -> OutgoingPublish? { publishes[packetID] }

    mutating func insert(_ publish: OutgoingPublish, _ packetID: UInt16) {
        publishes[packetID] = publish
        if publish.qos == .exactlyOnce { exactlyOnce += 1 }
        if publish.isExpiring { expiring += 1 }
    }

    mutating func remove(_ packetID: UInt16) -> OutgoingPublish? {
        guard let publish = publishes.removeValue(forKey: packetID) else { return nil }
        identifiers.free(packetID)
        if publish.qos == .exactlyOnce { exactlyOnce -= 1 }
        if publish.isExpiring { expiring -= 1 }
        return publish
    }

    /// Removes and returns the messages for which `isUnwanted` is true, in the order of their calls.
    mutating func remove(where isUnwanted: (OutgoingPublish) -> Bool = { _ in true }) -> [OutgoingPublish] {
        publishes.filter { isUnwanted($0.value) }.keys.compactMap { remove($0) }.sorted { $0.sequence < $1.sequence }
    }
}
