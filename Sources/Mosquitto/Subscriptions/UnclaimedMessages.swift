/// Messages of a persistent session for which there is no consumer: those that the broker sends right after its CONNACK, before the
/// program has subscribed, those of a filter whose consumer is gone, and those that such a consumer has left over. They wait for the
/// next consumer whose filter matches.
///
/// What is not acknowledged stays with the broker where there is no room for it. Of the others, the newest are kept, and up to an
/// eighth more: the oldest go in one pass over all, which a single message is not worth.
struct UnclaimedMessages {
    private struct Entry {
        var incoming: IncomingMessage
        let since: ContinuousClock.Instant
        var kind: Kind
    }

    private enum Kind: Int {
        /// The broker has it too.
        case unacknowledged
        /// QoS 0.
        case loose
        /// Left over by a consumer, and acknowledged: nobody else has it.
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
    /// How many of these ``takeLossToTell()`` has returned.
    private var toldOfLost = 0

    /// What ``hold(_:now:)`` had no room for.
    struct Excess {
        /// Is to be left to the broker.
        var unacknowledged: [IncomingMessage] = []
        /// How many are lost.
        var lost = 0
    }

    /// How many are lost in all, if that is worth telling: at the first loss, and whenever they are twice as many.
    mutating func takeLossToTell() -> Int? {
        guard lost > 0, lost >= 2 * toldOfLost else { return nil }
        toldOfLost = lost
        return lost
    }

    var count: Int { entries.count }

    /// Whether an acknowledgement waits for one.
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

    /// Adds what a consumer has left over. Returns how many are lost.
    mutating func putBack(_ leftOver: [IncomingMessage], now: ContinuousClock.Instant = .now) -> Int {
        for message in leftOver { add(message, message.receipt == nil ? .leftOver : .unacknowledged, now) }
        return trim(.leftOver)
    }

    private func hasRoom(for message: IncomingMessage) -> Bool {
        let (amount, limit) = (amounts[Kind.unacknowledged.rawValue], Self.limits[Kind.unacknowledged.rawValue])
        return amount.count < limit.count && (amount.count == 0 || amount.bytes + message.size <= limit.bytes)
    }

    private mutating func add(_ message: IncomingMessage, _ kind: Kind, _ now: ContinuousClock.Instant) {
        entries.append(Entry(incoming: message, since: now, kind: kind))
        amounts[kind.rawValue].count += 1
        amounts[kind.rawValue].bytes += message.size
    }

    /// Drops the oldest if they exceed the limit by more than an eighth. One is kept, however large.
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
            amount.bytes -= entry.incoming.size
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
            amounts[entry.kind.rawValue].bytes -= entry.incoming.size
            return true
        }
        return taken
    }

    /// Takes those that match a subscription of the consumer.
    ///
    /// - Parameters:
    ///   - kept: Filters of the session that have no consumer. What matches one of them is for a consumer of that filter.
    ///   - isConnected: Whether the connection is up on which the unacknowledged ones came. Otherwise they are about to come again.
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

    /// Takes those of topics that nobody will ask for.
    mutating func discard(where isUnwanted: (String) -> Bool) -> [IncomingMessage] {
        guard !entries.isEmpty else { return [] }
        return take { isUnwanted($0.incoming.message.topic) }
    }

    /// How many unacknowledged ones were held before this moment.
    func count(heldBefore limit: ContinuousClock.Instant) -> Int {
        entries.count { $0.kind == .unacknowledged && $0.since <= limit }
    }

    /// Takes all that are not acknowledged.
    mutating func takeUnacknowledged() -> [IncomingMessage] {
        guard holdsReceipts else { return [] }
        return take { $0.kind == .unacknowledged }
    }

    /// The broker has forgotten the session: nothing comes again, and nothing is to be acknowledged.
    mutating func forgetReceipts() {
        guard holdsReceipts else { return }
        for var message in takeUnacknowledged() {
            message.receipt = nil
            add(message, .leftOver, .now)
        }
    }
}
