/// A SUBSCRIBE that a caller waits for.
struct SubscribeOperation {
    let caller: WaiterID
    let consumer: MessageBuffer
    /// True if it goes on with the filters that the broker grants.
    var acceptsRefusals = false
    /// The filters of each packet under way.
    var packetIDs: [UInt16: [String]] = [:]
    var reasonCodes: [String: MQTTReasonCode] = [:]
    var explanation: ReasonExplanation?

    /// Returns true if it asked for one of these filters.
    func isWaiting(for filters: [String]) -> Bool {
        consumer.subscriptions.contains { filters.contains($0.filter.filter) }
    }

    /// True when the broker has answered each filter.
    var isAnswered: Bool {
        packetIDs.isEmpty && consumer.subscriptions.allSatisfy { reasonCodes[$0.filter.filter] != nil }
    }

    /// Forgets the answers that the next connection asks for again.
    mutating func connectionEnded() {
        packetIDs = [:]
        reasonCodes = reasonCodes.filter(\.value.isError)
    }
}

/// A SUBSCRIBE for which nobody waits.
struct Restoration {
    var filters: [String]
    /// True if only the identifier is new.
    var isSilent: Bool
}

/// An UNSUBSCRIBE that a caller waits for.
struct UnsubscribeOperation {
    let caller: WaiterID
    let filters: [String]
    /// Filters that the broker was asked to drop and has not answered yet.
    var open: Set<String>
    var reasonCodes: [String: MQTTReasonCode] = [:]
}
