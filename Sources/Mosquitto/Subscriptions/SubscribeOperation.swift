// SPDX-License-Identifier: Apache-2.0

/// A SUBSCRIBE with a waiting caller.
struct SubscribeOperation {
    let caller: WaiterID
    let consumer: MessageBuffer
    /// True if the caller accepts the granted filters when others are refused.
    var acceptsRefusals = false
    /// The filters of each unanswered packet.
    var packetIDs: [UInt16: [String]] = [:]
    var reasonCodes: [String: MQTTReasonCode] = [:]
    var explanation: ReasonExplanation?

    /// Returns true if the operation includes one of these filters.
    func isWaiting(for filters: [String]) -> Bool {
        consumer.subscriptions.contains { filters.contains($0.filter.filter) }
    }

    /// True if the broker has answered for each filter.
    var isAnswered: Bool {
        packetIDs.isEmpty && consumer.subscriptions.allSatisfy { reasonCodes[$0.filter.filter] != nil }
    }

    /// Discards the answers that the next connection requests again.
    mutating func connectionEnded() {
        packetIDs = [:]
        reasonCodes = reasonCodes.filter(\.value.isError)
    }
}

/// A SUBSCRIBE without a waiting caller.
struct Restoration {
    var filters: [String]
    /// True if only the identifier is new.
    var isSilent: Bool
}

/// An UNSUBSCRIBE with a waiting caller.
struct UnsubscribeOperation {
    let caller: WaiterID
    let filters: [String]
    /// The filters whose UNSUBACK has not arrived yet.
    var open: Set<String>
    var reasonCodes: [String: MQTTReasonCode] = [:]
}
