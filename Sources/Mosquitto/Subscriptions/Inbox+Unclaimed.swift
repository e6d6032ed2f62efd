// SPDX-License-Identifier: Apache-2.0

import Logging

/// Messages of a persistent session that no consumer takes: ``UnclaimedMessages``, and messages left to the broker.
extension Inbox {
    /// The time for which a message without a consumer holds back the acknowledgements of others.
    static let unclaimedLimit = Duration.seconds(10)

    /// Holds messages without a consumer, unacknowledged.
    ///
    /// - Parameter kept: the filters of the session that have no consumer.
    mutating func hold(_ run: [IncomingMessage], kept: [MQTTTopicFilter]) {
        var run = run
        for index in run.indices where run[index].receipt == nil {
            guard let packetID = run[index].message.packetIdentifier else { continue }
            run[index].receipt = holdBack(run[index].message, packetID)
        }
        // An earlier message was already left to the broker to make way for others.
        if !givenBack.isEmpty, acknowledgements.isBlocked {
            giveBack(run.filter { $0.receipt != nil }, kept)
            run.removeAll { $0.receipt != nil }
        }
        let excess = unclaimed.hold(run)
        giveBack(excess.unacknowledged, kept)
        warnOfLoss()
    }

    private mutating func warnOfLoss() {
        guard let count = unclaimed.takeLossToTell() else { return }
        logger.warning(
            "messages of the session were dropped, since nothing subscribes to their topics",
            metadata: ["mqtt.messages": "\(count)"])
    }

    /// Keeps the unread messages of a consumer for the next one.
    mutating func putBack(_ leftOver: [IncomingMessage], _ subscriber: Subscriber) {
        guard !leftOver.isEmpty else { return }
        guard configuration.isPersistent else {
            for message in leftOver { message.receipt?.settle(isHandled: false) }
            return
        }
        discard(leftOver.filter { subscriber.isEnded($0.message.topic) })
        _ = unclaimed.putBack(leftOver.filter { !subscriber.isEnded($0.message.topic) })
        warnOfLoss()
    }

    /// Takes the messages that wait for a new consumer.
    ///
    /// - Parameter isConnected: true if the connection on which unacknowledged messages arrived is up.
    mutating func claim(
        for consumer: MessageBuffer, kept: [MQTTTopicFilter], isConnected: Bool
    ) -> [IncomingMessage] {
        if unclaimed.count == 0, givenBack.isEmpty { return [] }
        var claimed = unclaimed.claim(for: consumer, kept: kept, isConnected: isConnected)
        if configuration.acknowledgesOnDelivery {
            for index in claimed.indices {
                claimed[index].receipt?.settle(isHandled: true)
                claimed[index].receipt = nil
            }
        }
        let filters = consumer.subscriptions.map(\.filter)
        if givenBack.values.contains(where: { topic in filters.contains { $0.matches(topic) } }) { resending.demand() }
        return claimed
    }

    /// Passes unclaimed messages to existing consumers after the broker has lost the session: it will not resend them.
    mutating func offerUnclaimed(_ subscriber: inout Subscriber) -> [Subscriber.Action] {
        var actions: [Subscriber.Action] = []
        for consumer in subscriber.table.consumers {
            guard consumer.append(claim(for: consumer, kept: subscriber.table.kept, isConnected: false)) else {
                continue
            }
            noteFull()
            actions += subscriber.beginEarly(consumer)
        }
        return actions
    }

    /// Discards messages that wait for a consumer of an ended filter.
    mutating func discardEnded(_ subscriber: Subscriber) {
        if subscriber.endedFilters.isEmpty { return }
        discard(unclaimed.discard(where: subscriber.isEnded))
        if givenBack.values.contains(where: subscriber.isEnded) { resending.demand() }
    }

    private func discard(_ messages: [IncomingMessage]) {
        for message in messages { message.receipt?.settle(isHandled: true) }
    }

    // MARK: Messages left to the broker

    /// Leaves unacknowledged messages to the broker when one of them has waited too long, and if they delay the
    /// acknowledgements of other messages.
    mutating func lookAtUnclaimed(kept: [MQTTTopicFilter], now: ContinuousClock.Instant = .now) {
        let count = unclaimed.count(heldBefore: now - Self.unclaimedLimit)
        if count > 0, acknowledgements.isBlocked { giveBack(unclaimed.takeUnacknowledged(), kept) }
        warnOfUnclaimed(count, kept)
    }

    /// Leaves messages to the broker, which sends them again on the next connection. They no longer delay other
    /// messages.
    private mutating func giveBack(_ messages: [IncomingMessage], _ kept: [MQTTTopicFilter]) {
        guard !messages.isEmpty else { return }
        for message in messages {
            guard let receipt = message.receipt else { continue }
            // A long topic is not kept: it matches no filter, and waits for the next connection.
            let topic = message.message.topic
            givenBack[receipt.packetID] = topic.utf8.count <= TopicCache<Void>.longestTopic ? topic : ""
            receipt.settle(isHandled: false)
        }
        warnOfUnclaimed(messages.count, kept)
    }

    /// Warns the first time, and whenever the number of messages has doubled.
    private mutating func warnOfUnclaimed(_ count: Int, _ kept: [MQTTTopicFilter]) {
        let total = max(count, unclaimed.count) + givenBack.count
        guard count > 0, total >= 2 * warnedOfUnclaimed else { return }
        warnedOfUnclaimed = total
        let topics = unclaimed.topics.union(givenBack.values)
        let filters = kept.filter { filter in topics.contains { filter.matches($0) } }.map(\.filter)
        let names = filters.isEmpty ? topics.sorted().prefix(10).map { ForeignText($0).description } : filters.sorted()
        logger.warning(
            """
            messages of the session stay with the broker, unacknowledged, and it may stop sending more, since nothing \
            subscribes to their topics; subscribe, or end the filters with unsubscribe(from:)
            """,
            metadata: [filters.isEmpty ? "mqtt.topics" : "mqtt.filters": "\(names)", "mqtt.messages": "\(total)"])
    }

    /// The broker resumes the session and resends unacknowledged messages in its own order, which is also the order of
    /// the acknowledgements. A message whose PUBACK was lost comes before the messages in the buffers; behind them, it
    /// would delay their acknowledgements.
    mutating func resumeUnclaimed(_ consumers: [MessageBuffer]) {
        for consumer in consumers { forget(consumer.takeUnacknowledged()) }
        forget(unclaimed.takeUnacknowledged())
    }
}
