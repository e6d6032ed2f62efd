import Logging
import Synchronization

/// Delivery of messages to consumers, and their acknowledgements.
extension Session {
    /// Delivers messages to their consumers; consecutive messages with the same topic in one call.
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
        if acknowledgesOnDelivery { sendAcknowledgements() }
    }

    private func deliver(_ run: [IncomingMessage], _ first: MQTTMessage) {
        let consumers = subscriber.table.consumers(
            of: first.topic, first.subscriptionIdentifiers, isRetained: first.retain)
        if consumers.isEmpty { return unwanted(run, first) }
        if acknowledgesOnDelivery { connection?.delivered(run) }
        for message in run { message.receipt?.consumers(consumers.count) }
        for consumer in consumers where consumer.append(run) {
            mayHaveFullConsumer = true
            carryOut(subscriber.beginEarly(consumer))
        }
        if let metrics { for consumer in consumers { metrics.dropped(consumer.takeDropped()) } }
    }

    /// Handles messages without a consumer: holds them for the next one in a persistent session, and discards them
    /// otherwise.
    private func unwanted(_ run: [IncomingMessage], _ first: MQTTMessage) {
        if subscriber.table.isRedundant(first.topic, first.subscriptionIdentifiers) {
            return acknowledgeAndDiscard(run)
        }
        if configuration.session != .clean { return hold(run, first.topic) }
        logger.debug("a message matches no subscription", metadata: ["mqtt.topic": "\(first.topic)"])
        acknowledgeAndDiscard(run)
    }

    func acknowledgeAndDiscard(_ run: [IncomingMessage]) {
        if acknowledgesOnDelivery { acknowledge(run) }
        for message in run { message.receipt?.settle(isHandled: true) }
    }

    /// Acknowledges messages. Those without a receipt need nothing else.
    func acknowledge(_ run: [IncomingMessage]) {
        connection?.delivered(run)
        sendAcknowledgements()
    }

    private func sendAcknowledgements() {
        connection?.sendAcknowledgements()
        needsFlush()
    }

    // MARK: Reading

    /// Pauses or resumes reading, depending on the consumers. Called once at the end of a turn, whatever the source of
    /// its events.
    ///
    /// Returns true if the connection is still up.
    func adjustReading() -> Bool {
        guard let connection else { return false }
        guard connection.isReadingPaused == isReadable() else { return true }
        if !connection.isReadingPaused {
            connection.pauseReading()
            return true
        }
        // There may be more held-back bytes, or a full consumer again.
        needsFlush()
        return drive { connection throws(MQTTError) in try connection.resumeReading() }
    }

    /// Returns true if the connection should be read. A connection that is not established always is, and so is one
    /// that is being closed: no consumer may keep the client from its next connection.
    private func isReadable() -> Bool {
        switch machine.state {
        case .connected, .draining: break
        default: return true
        }
        guard mayHaveFullConsumer else { return true }
        let fullness = subscriber.table.consumers.lazy.map(\.fullness).max() ?? .room
        mayHaveFullConsumer = fullness != .room
        return fullness == .room || fullness == .full && awaitsAnswer
    }

    /// True if a call waits for the broker. The caller may be a consumer that publishes the messages it receives, and
    /// accepts no more until then. Bytes that a full socket holds back count too: the broker may resume reading only
    /// when the client does.
    private var awaitsAnswer: Bool {
        publisher.hasMessages || subscriber.awaitsAnswer || !unfinished.isEmpty
            || shared.awaitedResponses.load(ordering: .acquiring) > 0
    }

    // MARK: Acknowledging

    /// Registers a received PUBLISH. Returns `nil` if it is the repetition of a QoS 2 message (MQTT 5.0, section
    /// 4.3.3), or of a QoS 1 message that is being handled.
    func received(_ message: MQTTMessage, _ packetID: UInt16) -> IncomingMessage? {
        if message.qos == .atMostOnce { return IncomingMessage(message: message) }
        let holds = configuration.acknowledgement == .afterHandling
        var message = message
        message.packetIdentifier = packetID
        guard message.qos == .exactlyOnce else {
            if message.isRepetition, isUnderHandling(message, packetID) { return nil }
            if !holds { return IncomingMessage(message: message) }
            return IncomingMessage(message: message, receipt: makeReceipt(of: message, packetID))
        }
        if let known = unreleased[packetID] {
            // For a message that is being handled, the receipt follows later.
            if case .handled = known {
                if holds {
                    release(packetID, isHandled: true)
                } else if acknowledgesOnDelivery {
                    acknowledge([IncomingMessage(message: message)])
                }
            }
            return nil
        }
        let receipt = holds ? makeReceipt(of: message, packetID) : nil
        if receipt == nil { unreleased[packetID] = .handled }
        return IncomingMessage(message: message, receipt: receipt)
    }

    func makeReceipt(of message: MQTTMessage, _ packetID: UInt16) -> Receipt {
        let receipt = Receipt(packetID: packetID) { [weak self] in self?.settled($0) }
        if message.qos == .exactlyOnce {
            unreleased[packetID] = .handling(receipt)
        } else {
            handling[packetID] = MessageUnderHandling(message, receipt, connection: generation)
        }
        return receipt
    }

    /// Returns true if a repeated QoS 1 message was already received. Its receipt then applies to this connection; if
    /// it was handled without a connection, it is acknowledged now.
    private func isUnderHandling(_ message: MQTTMessage, _ packetID: UInt16) -> Bool {
        guard let known = handling[packetID], known.connection != generation, known.isSame(as: message) else {
            return false
        }
        handling[packetID]?.connection = generation
        if known.isHandled, acknowledgesOnDelivery {
            handling[packetID] = nil
            acknowledge([IncomingMessage(message: message)])
        } else if known.isHandled {
            release(packetID, isHandled: true)
        }
        return true
    }

    /// Records a completed receipt. Called by a consumer, on any thread.
    private nonisolated func settled(_ receipt: Receipt) {
        settledReceipts.withLock { $0.append(receipt) }
        loop.schedule(self)
    }

    /// Sends the acknowledgements of handled messages.
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
        // A message that a clean session does not acknowledge is never redelivered, since the client does not resume
        // the session, however long the broker keeps it; and it occupies one of the broker's few places for messages in
        // flight.
        let isDone = receipt.isHandled || configuration.session == .clean
        let packetID = receipt.packetID
        if case .handling(let pending) = unreleased[packetID], pending === receipt {
            // An unhandled message must be delivered when it is repeated.
            unreleased[packetID] = isDone ? .handled : nil
        } else if let known = handling[packetID], known.receipt === receipt {
            // A handled message is remembered until its acknowledgement was sent.
            if isDone { handling[packetID]?.isHandled = true } else { handling[packetID] = nil }
            if known.connection != generation {
                handling[packetID]?.condense()
                return
            }
        } else {
            return
        }
        release(packetID, isHandled: isDone)
        // The acknowledgement waits for earlier ones.
        if isDone { handling[packetID]?.condense() }
        if !isDone { left(packetID) }
    }

    private func release(_ packetID: UInt16, isHandled: Bool) {
        connection?.release(packetID, isHandled: isHandled) { handling[$0] = nil }
    }
}
