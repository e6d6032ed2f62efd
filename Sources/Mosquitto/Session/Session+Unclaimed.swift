import Logging
import OrderedCollections

/// Messages of a persistent session without a consumer: held in ``UnclaimedMessages``, or left to the broker.
extension Session {
    /// Holds messages without a consumer, unacknowledged.
    func hold(_ run: [IncomingMessage], _ topic: String) {
        if subscriber.isEnded(topic) {
            logger.debug("a message matches no subscription", metadata: ["mqtt.topic": "\(topic)"])
            return acknowledgeAndDiscard(run)
        }
        var run = run
        for index in run.indices where run[index].receipt == nil {
            guard let connection, let packetID = run[index].message.packetIdentifier else { continue }
            connection.hold(packetID, run[index].message.qos)
            run[index].receipt = makeReceipt(of: run[index].message, packetID)
        }
        // An earlier message has already been left to the broker.
        if !givenBack.isEmpty, connection?.isAcknowledgementBlocked == true {
            giveBack(run.filter { $0.receipt != nil })
            run.removeAll { $0.receipt != nil }
        }
        let excess = unclaimed.hold(run)
        giveBack(excess.unacknowledged)
        warnOfLoss()
        watchUnclaimed()
    }

    private func warnOfLoss() {
        guard let count = unclaimed.takeLossToTell() else { return }
        logger.warning(
            "messages of the session were dropped, since nothing subscribes to their topics",
            metadata: ["mqtt.messages": "\(count)"])
    }

    /// Holds the messages that a consumer left unread for the next one.
    func putBack(_ leftOver: [IncomingMessage]) {
        guard !leftOver.isEmpty else { return }
        if case .stopped = machine.state { return }
        guard configuration.session != .clean else {
            for message in leftOver { message.receipt?.settle(isHandled: false) }
            return
        }
        discard(leftOver.filter { subscriber.isEnded($0.message.topic) })
        _ = unclaimed.putBack(leftOver.filter { !subscriber.isEnded($0.message.topic) })
        warnOfLoss()
        watchUnclaimed()
    }

    /// Removes and returns the held messages for a new consumer, which ``SubscriptionTable`` does not have yet.
    func claim(for consumer: MessageBuffer) -> [IncomingMessage] {
        if unclaimed.count == 0, givenBack.isEmpty { return [] }
        var claimed = unclaimed.claim(for: consumer, kept: subscriber.table.kept, isConnected: isConnected)
        if acknowledgesOnDelivery {
            for index in claimed.indices {
                claimed[index].receipt?.settle(isHandled: true)
                claimed[index].receipt = nil
            }
        }
        let filters = consumer.subscriptions.map(\.filter)
        if givenBack.values.contains(where: { topic in filters.contains { $0.matches(topic) } }) { demandResending() }
        return claimed
    }

    private var isConnected: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        default: false
        }
    }

    /// Delivers held messages to existing consumers: the broker has no session, and redelivers nothing.
    func offerUnclaimed() {
        for consumer in subscriber.table.consumers where consumer.append(claim(for: consumer)) {
            mayHaveFullConsumer = true
            carryOut(subscriber.beginEarly(consumer))
        }
    }

    // MARK: Ended filters

    /// Discards the held messages of filters that were unsubscribed.
    func discardEnded() {
        if subscriber.endedFilters.isEmpty { return }
        discard(unclaimed.discard(where: subscriber.isEnded))
        if givenBack.values.contains(where: subscriber.isEnded) { demandResending() }
    }

    private func discard(_ messages: [IncomingMessage]) {
        for message in messages { message.receipt?.settle(isHandled: true) }
    }

    // MARK: Messages left to the broker

    /// The time for which a message without a consumer may delay the acknowledgements of others.
    private static let unclaimedLimit = Duration.seconds(10)

    private func watchUnclaimed() {
        guard !timers.isRunning(.unclaimed), unclaimed.holdsReceipts else { return }
        setTimer(.unclaimed, after: Self.unclaimedLimit) { $0.lookAtUnclaimed() }
    }

    private func lookAtUnclaimed() {
        // The held messages are all that the broker has in flight, and it may send no more.
        let count = unclaimed.count(heldBefore: .now - Self.unclaimedLimit)
        if count > 0, connection?.isAcknowledgementBlocked == true { giveBack(unclaimed.takeUnacknowledged()) }
        warnOfUnclaimed(count)
        watchUnclaimed()
    }

    /// Leaves messages to the broker, which redelivers them on the next connection: they no longer delay other
    /// acknowledgements.
    private func giveBack(_ messages: [IncomingMessage]) {
        guard !messages.isEmpty else { return }
        for message in messages {
            guard let receipt = message.receipt else { continue }
            givenBack[receipt.packetID] = message.message.topic
            receipt.settle(isHandled: false)
        }
        warnOfUnclaimed(messages.count)
    }

    /// Logs a warning the first time, and whenever the number has doubled.
    private func warnOfUnclaimed(_ count: Int) {
        let total = max(count, unclaimed.count) + givenBack.count
        guard count > 0, total >= 2 * warnedOfUnclaimed else { return }
        warnedOfUnclaimed = total
        let topics = unclaimed.topics.union(givenBack.values)
        let filters = subscriber.table.kept.filter { filter in topics.contains { filter.matches($0) } }.map(\.filter)
        let names = filters.isEmpty ? topics.sorted().prefix(10).map { $0 } : filters.sorted()
        logger.warning(
            """
            messages of the session stay with the broker, unacknowledged, and it may stop sending more, since nothing \
            subscribes to their topics; subscribe, or end the filters with unsubscribe(from:)
            """,
            metadata: [filters.isEmpty ? "mqtt.topics" : "mqtt.filters": "\(names)", "mqtt.messages": "\(total)"])
    }

    /// Discards unread messages of a persistent session when the client stops: it acknowledges nothing more, and the
    /// broker redelivers them to the next run, so this one must not deliver them too.
    func leaveUnreadToBroker() {
        guard configuration.acknowledgement == .afterHandling, configuration.session != .clean else { return }
        for consumer in subscriber.table.consumers { _ = consumer.takeUnacknowledged(includingExactlyOnce: true) }
    }

    /// Records that a consumer or ``giveBack(_:)`` has left a message to the broker.
    func left(_ packetID: UInt16) {
        guard configuration.session != .clean, givenBack[packetID] == nil else { return }
        abandoned += 1
        resendIfNeeded()
    }

    // MARK: Connections

    /// Discards buffered unacknowledged messages when the broker resumes the session: it redelivers them in their
    /// order, which is that of the acknowledgements. A message whose PUBACK was lost comes before the buffered ones,
    /// and would otherwise delay their acknowledgements from behind.
    func resumeUnclaimed() {
        for consumer in subscriber.table.consumers { forget(consumer.takeUnacknowledged()) }
        forget(unclaimed.takeUnacknowledged())
    }

    private func forget(_ messages: [IncomingMessage]) {
        for message in messages {
            guard let receipt = message.receipt else { continue }
            if handling[receipt.packetID]?.receipt === receipt { handling[receipt.packetID] = nil }
            if case .handling(let pending) = unreleased[receipt.packetID], pending === receipt {
                unreleased[receipt.packetID] = nil
            }
        }
    }

    func connectionEndedDelivering() {
        givenBack = [:]
        warnedOfUnclaimed = 0
        abandoned = 0
        isResendingDemanded = false
        timers.cancel(.resending)
    }
}
