// SPDX-License-Identifier: Apache-2.0

/// Messages of a persistent session without a consumer: those that the broker sends right after its CONNACK, before the
/// program has subscribed; those for a filter whose consumer has left; and those that such a consumer has left unread.
/// They wait for the next consumer whose filter matches.
///
/// Unacknowledged messages that find no room are left to the broker. Of all other messages the newest are kept, and up
/// to an eighth more: a pass that removes old messages is worth its cost only for many at once.
struct UnclaimedMessages {
    private struct Entry {
        var incoming: IncomingMessage
        let since: ContinuousClock.Instant
        var kind: Kind
    }

    private enum Kind: Int {
        /// The broker still has the message.
        case unacknowledged
        /// QoS 0.
        case loose
        /// Left unread by a consumer, and acknowledged: no other copy exists.
        case leftOver
    }

    private struct Amount {
        var count = 0
        var bytes = 0
    }

    private static let limits = [
        Amount(count: 4_096, bytes: 64 << 20), Amount(count: 4_096, bytes: 64 << 20),
        Amount(count: 2 * MessageBuffer.overflow, bytes: 256 << 20),
    ]
    private var amounts = [Amount(), Amount(), Amount()]
    private var entries: [Entry] = []
    private var lost = 0
    /// Number of lost messages at the last result of ``takeLossToTell()``.
    private var toldOfLost = 0

    /// The messages for which ``hold(_:now:)`` had no room.
    struct Excess {
        /// Messages to leave to the broker.
        var unacknowledged: [IncomingMessage] = []
        /// Number of lost messages.
        var lost = 0
    }

    /// Returns the total number of lost messages if it should be reported: at the first loss, and whenever the number
    /// has doubled.
    mutating func takeLossToTell() -> Int? {
        guard lost > 0, lost >= 2 * toldOfLost else { return nil }
        toldOfLost = lost
        return lost
    }

    var count: Int { entries.count }

    /// True if an acknowledgement waits for one of the messages.
    var holdsReceipts: Bool { amounts[Kind.unacknowledged.rawValue].count > 0 }

    var topics: Set<String> { Set(entries.map(\.incoming.message.topic)) }

    mutating func hold(_ new: [IncomingMessage], now: ContinuousClock.Instant = .now) -> Excess {
        var excess = Excess()
        for message in new {
            let kind = message.receipt == nil ? Kind.loose : .unacknowledged
            if kind == .unacknowledged, !hasRoom(for: message) {
                excess.unacknowledged.append(message)
            } else {
                add(message, kind, now)
            }
        }
        excess.lost = trim(.loose)
        return excess
    }

    /// Adds the messages that a consumer has left unread. Returns the number of lost messages.
    mutating func putBack(_ leftOver: [IncomingMessage], now: ContinuousClock.Instant = .now) -> Int {
        for message in leftOver { add(message, message.receipt == nil ? .leftOver : .unacknowledged, now) }
        return trim(.leftOver)
    }

    private func hasRoom(for message: IncomingMessage) -> Bool {
        let (amount, limit) = (amounts[Kind.unacknowledged.rawValue], Self.limits[Kind.unacknowledged.rawValue])
        return amount.count < limit.count && (amount.count == 0 || amount.bytes + message.memorySize <= limit.bytes)
    }

    private mutating func add(_ message: IncomingMessage, _ kind: Kind, _ now: ContinuousClock.Instant) {
        entries.append(Entry(incoming: message, since: now, kind: kind))
        amounts[kind.rawValue].count += 1
        amounts[kind.rawValue].bytes += message.memorySize
    }

    /// Drops the oldest messages if the limit is exceeded by more than an eighth. One message is always kept, however
    /// large.
    private mutating func trim(_ kind: Kind) -> Int {
        let limit = Self.limits[kind.rawValue]
        var amount = amounts[kind.rawValue]
        func exceeds(_ count: Int, _ bytes: Int) -> Bool {
            amount.count > count || amount.bytes > bytes && amount.count > 1
        }
        guard exceeds(limit.count + limit.count / 8, limit.bytes + limit.bytes / 8) else { return 0 }
        let trimmed = take { entry in
            guard entry.kind == kind, exceeds(limit.count, limit.bytes) else { return false }
            amount.count -= 1
            amount.bytes -= entry.incoming.memorySize
            return true
        }
        lost += trimmed.count
        return trimmed.count
    }

    private mutating func take(where isWanted: (Entry) -> Bool) -> [IncomingMessage] {
        var taken: [IncomingMessage] = []
        entries.removeAll { entry in
            guard isWanted(entry) else { return false }
            taken.append(entry.incoming)
            amounts[entry.kind.rawValue].count -= 1
            amounts[entry.kind.rawValue].bytes -= entry.incoming.memorySize
            return true
        }
        return taken
    }

    /// Removes and returns the messages that match a subscription of the consumer.
    ///
    /// - Parameters:
    ///   - kept: filters of the session without a consumer. A message that matches one of them belongs to a consumer of
    ///     that filter.
    ///   - isConnected: true if the connection on which the unacknowledged messages arrived is up. Otherwise the broker
    ///     is about to resend them.
    mutating func claim(
        for consumer: MessageBuffer, kept: [MQTTTopicFilter] = [], isConnected: Bool = true
    ) -> [IncomingMessage] {
        guard !entries.isEmpty else { return [] }
        return take { entry in
            if entry.kind == .unacknowledged, !isConnected { return false }
            let topic = entry.incoming.message.topic
            guard consumer.subscriptions.contains(where: { $0.filter.matches(topic) }) else { return false }
            let owners = kept.filter { $0.matches(topic) }
            return owners.isEmpty || owners.contains { owner in consumer.subscriptions.contains { $0.filter == owner } }
        }
    }

    /// Removes and returns the messages of unwanted topics.
    mutating func discard(where isUnwanted: (String) -> Bool) -> [IncomingMessage] {
        guard !entries.isEmpty else { return [] }
        return take { isUnwanted($0.incoming.message.topic) }
    }

    /// Returns the number of unacknowledged messages held since before `limit`.
    func count(heldBefore limit: ContinuousClock.Instant) -> Int {
        entries.count { $0.kind == .unacknowledged && $0.since <= limit }
    }

    /// Removes and returns all unacknowledged messages.
    mutating func takeUnacknowledged() -> [IncomingMessage] {
        guard holdsReceipts else { return [] }
        return take { $0.kind == .unacknowledged }
    }

    /// Records that the broker has no session: it resends nothing, and nothing must be acknowledged.
    mutating func forgetReceipts() {
        guard holdsReceipts else { return }
        for var message in takeUnacknowledged() {
            message.receipt = nil
            add(message, .leftOver, .now)
        }
    }
}
