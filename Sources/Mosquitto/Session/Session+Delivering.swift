import Logging
import Synchronization

/// Messages on their way to their consumers, and acknowledgements on their way back.
extension Session {
    /// Hands messages to their consumers, those in a row with the same topic in one go.
    func deliver(_ messages: [IncomingMessage]) {
        metrics?.received(messages)
        var start = 0
        while start < messages.count {
            var end = start + 1
            while end < messages.count, messages[end].isForSame(as: messages[start]) { end += 1 }
            deliver(
                start == 0 && end == messages.count ? messages : Array(messages[start..<end]), messages[start].message)
            start = end
        }
    }

    private func deliver(_ run: [IncomingMessage], _ first: MQTTMessage) {
        let consumers = subscriptions.consumers(of: first.topic, first.subscriptionIdentifiers)
        if consumers.isEmpty { return unwanted(run, first.topic) }
        for message in run { message.receipt?.consumers(consumers.count) }
        for consumer in consumers where consumer.append(run) {
            hasFullConsumer = true
            beginEarly(consumer)
        }
        if let metrics { for consumer in consumers { metrics.dropped(consumer.takeDropped()) } }
    }

    private func unwanted(_ run: [IncomingMessage], _ topic: String) {
        guard configuration.session != .clean else {
            logger.debug("a message matches no subscription", metadata: ["mqtt.topic": "\(topic)"])
            for message in run { message.receipt?.settle(isHandled: true) }
            return
        }
        let lost = unclaimed.hold(run)
        if lost > 0 {
            logger.warning(
                "messages of the resumed session were dropped, since nothing subscribes to their topics",
                metadata: ["mqtt.messages": "\(lost)"])
        }
        watchUnclaimed()
    }

    /// How long a message for which there is no consumer holds back the acknowledgements of others.
    private static let unclaimedLimit = Duration.seconds(10)

    private func watchUnclaimed() {
        guard configuration.acknowledgement == .afterHandling, unclaimedTimer == nil, unclaimed.holdsReceipts else {
            return
        }
        unclaimedTimer = loop.setTimer(after: Self.unclaimedLimit) { [weak self] in
            self?.assumeIsolated { $0.giveBackUnclaimed() }
        }
    }

    private func giveBackUnclaimed() {
        unclaimedTimer = nil
        let count = unclaimed.giveBack(heldBefore: .now - Self.unclaimedLimit)
        if count > 0 {
            logger.warning(
                "messages of the session stay with the broker, unacknowledged, since nothing subscribes to their topics",
                metadata: ["mqtt.messages": "\(count)"])
        }
        watchUnclaimed()
    }

    // MARK: Pausing

    /// Stops reading if a consumer is full, and nobody waits for what is behind its messages.
    func pauseReading() {
        guard hasFullConsumer, let connection, !connection.isReadingPaused, mustPause() else { return }
        connection.isReadingPaused = true
        updateInterest()
    }

    private func mustPause() -> Bool {
        let fullness = subscriptions.consumers.lazy.map(\.fullness).max() ?? .room
        hasFullConsumer = fullness != .room
        return fullness == .overfull || fullness == .full && !awaitsAnswer
    }

    /// Whether a call waits for the broker. It may be a consumer that publishes what it has got: it takes no more before. What a
    /// socket that takes no more holds back counts too: the broker may read again only when we do.
    private var awaitsAnswer: Bool {
        hasUnsentMessages || !subscribing.isEmpty || !unanswered.isEmpty || !unfinished.isEmpty
            || awaitedResponses.load(ordering: .acquiring) > 0
    }

    /// Goes on if a consumer has made room or is gone, or a call waits for the broker.
    func resumeReading() {
        guard let connection, connection.isReadingPaused, !mustPause() else { return }
        do throws(MQTTError) {
            try connection.resumeReading()
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            needsFlush()
            updateInterest()
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    // MARK: Acknowledging

    /// A PUBLISH that came. `nil` if it is the repetition of a QoS 2 message (MQTT 5.0, section 4.3.3).
    func received(_ message: MQTTMessage, _ packetID: UInt16, _ connection: Connection) -> IncomingMessage? {
        let holds = configuration.acknowledgement == .afterHandling
        var message = message
        if message.qos > .atMostOnce { message.packetIdentifier = packetID }
        guard message.qos == .exactlyOnce else {
            let receipt = holds && message.qos == .atLeastOnce ? makeReceipt(packetID) : nil
            return IncomingMessage(message: message, receipt: receipt)
        }
        if let known = unreleased[packetID] {
            // Of one that is being handled, the receipt is yet to come.
            if case .handled = known, holds { connection.release(packetID, isHandled: true) }
            return nil
        }
        let receipt = holds ? makeReceipt(packetID) : nil
        unreleased[packetID] = receipt.map { .handling($0) } ?? .handled
        return IncomingMessage(message: message, receipt: receipt)
    }

    private func makeReceipt(_ packetID: UInt16) -> Receipt {
        Receipt(packetID: packetID, connection: generation) { [weak self] in self?.settled($0) }
    }

    /// Called by a consumer, on any thread.
    private nonisolated func settled(_ receipt: Receipt) {
        settledReceipts.withLock { $0.append(receipt) }
        loop.schedule(self)
    }

    /// Sends the acknowledgements of what has been handled.
    func takeReceipts() {
        let receipts = settledReceipts.withLock { receipts in
            defer { receipts = [] }
            return receipts
        }
        if receipts.isEmpty { return }
        for receipt in receipts { take(receipt) }
        needsFlush()
    }

    private func take(_ receipt: Receipt) {
        // What a session that ends with its connection does not acknowledge never comes again, and takes one of the few places
        // that the broker has for messages under way.
        let isDone = receipt.isHandled || configuration.session == .clean && configuration.cleanSessionExpiry == .zero
        if case .handling(let pending) = unreleased[receipt.packetID], pending === receipt {
            // One that was not handled is to be delivered when it comes again.
            unreleased[receipt.packetID] = isDone ? .handled : nil
        } else if receipt.connection != generation {
            return
        }
        connection?.release(receipt.packetID, isHandled: isDone)
    }
}
