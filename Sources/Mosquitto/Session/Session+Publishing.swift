import DequeModule
import Logging

/// Outgoing messages: from the outbox to the library, a window at a time, and back if they were not acknowledged.
extension Session {
    /// How many messages one turn hands over at most, so that other clients of the loop have theirs.
    private static let turnLimit = (messages: 2_048, bytes: 1 << 20)

    // MARK: From any thread

    nonisolated func enqueue(_ publish: OutgoingPublish) throws(MQTTError) {
        if try shared.queue.post(publish) { loop.schedule(self) }
    }

    nonisolated func publish(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                publish.continuation = continuation
                do throws(MQTTError) {
                    if try shared.queue.post(publish) { loop.schedule(self) }
                } catch {
                    publish.complete(.failure(error))
                }
            }
        } onCancel: {
            switch shared.queue.withdraw(publish) {
            // The caller itself finds out.
            case .unposted: break
            // A shutdown may have waited for it.
            case .withdrawn: Task { await self.checkDrained() }
            case .taken: Task { await self.cancel(publish) }
            }
        }
        return try outcome.get()
    }

    private func cancel(_ publish: OutgoingPublish) {
        guard let continuation = publish.takeContinuation() else { return }
        // What the library has is sent and acknowledged all the same.
        if publish.sequence == 0 || pending.contains(publish) { pending.cancel(publish) }
        publish.isCancelled = true
        shared.queue.release([publish])
        continuation.resume(returning: .failure(MQTTError(.cancelled, "the publish was cancelled")))
        checkDrained()
    }

    // MARK: On the loop

    /// Hands over as much as the window, the socket and the turn allow. ``flush()`` sends it.
    func pump() {
        guard let connection, connection.stage == .established, isPublishingAllowed, !connection.isBacklogged
        else { return }
        defer {
            shared.queue.release(handedOver)
            for publish in handedOver where publish.qos == .atMostOnce { publish.complete(.success(.success)) }
            handedOver.removeAll(keepingCapacity: handedOver.capacity <= 4_096)
        }
        sendAgain(connection)
        var bytes = 0
        for _ in 0..<Self.turnLimit.messages where bytes < Self.turnLimit.bytes {
            guard let publish = nextPending(), mayHandOver(publish) else { break }
            _ = pending.popFirst()
            bytes += publish.payload.count
            handedOver.append(publish)
            do throws(MQTTError) {
                try encode(publish)
            } catch {
                refuse(publish, error)
            }
            if encoder.bytes.count >= Self.writeSize { write(connection) }
        }
        write(connection)
    }

    /// What is encrypted in one go: a few full records of TLS.
    private static let writeSize = 1 << 16

    private func write(_ connection: Connection) {
        connection.write(encoder.bytes)
        encoder.removeAll()
    }

    private func encode(_ publish: OutgoingPublish) throws(MQTTError) {
        var header = PublishEncoder.Header()
        if publish.expiry != nil {
            let now = ContinuousClock.now
            if publish.hasExpired(now) { throw Self.expired }
            header.expiry = publish.remainingExpiryInterval(now)
        }
        try checkLimits(of: publish)
        header.alias = aliases.alias(of: publish.topic)
        header.packetID = publish.qos == .atMostOnce ? countPacketID() : try requirePacketID()
        try encode(publish, header)
        if let alias = header.alias, !alias.isKnown { aliases.told(publish.topic, alias.number) }
        lastSequence += 1
        publish.sequence = lastSequence
        if publish.qos == .atMostOnce {
            metrics?.published(publish)
        } else {
            inFlight.insert(publish, header.packetID)
        }
    }

    private func encode(_ publish: OutgoingPublish, _ header: PublishEncoder.Header) throws(MQTTError) {
        if encoder.append(publish, header, limit: limits?.maximumPacketSize) {
            trace(publish, header)
            return
        }
        throw .operationRefused(.packetTooLarge, "the message is larger than the broker takes")
    }

    /// As libmosquitto tells of its packets.
    private func trace(_ publish: OutgoingPublish, _ header: PublishEncoder.Header) {
        logger.trace(
            """
            Client \(configuration.clientID) sending PUBLISH (d\(header.isDuplicate ? 1 : 0), q\(publish.qos.rawValue), \
            r\(publish.retain ? 1 : 0), m\(header.packetID), '\(publish.topic)', ... (\(publish.payload.count) bytes))
            """)
    }

    private static let chunk = 256

    private func nextPending() -> OutgoingPublish? {
        if let publish = pending.first { return publish }
        for publish in shared.queue.take(Self.chunk) { pending.append(publish) }
        return pending.first
    }

    // MARK: Sending again

    /// The broker has the session: what it has not acknowledged is sent again, in its order (MQTT 5.0, sections 4.4 and 4.6).
    func resumeInFlight() { unsentAgain = Deque(inFlight.packetIDs) }

    /// With a PUBREL for what the broker has taken over. The Receive Maximum may be smaller than before.
    private func sendAgain(_ connection: Connection) {
        while let packetID = unsentAgain.first {
            if let publish = inFlight[packetID] {
                if publish.received != nil {
                    encoder.appendRelease(packetID)
                    logger.trace("Client \(configuration.clientID) sending PUBREL (m\(packetID))")
                } else {
                    guard inFlight.count - unsentAgain.count < window else { break }
                    encodeAgain(publish, packetID)
                }
            }
            unsentAgain.removeFirst()
            if encoder.bytes.count >= Self.writeSize { write(connection) }
        }
        write(connection)
    }

    private func encodeAgain(_ publish: OutgoingPublish, _ packetID: UInt16) {
        var header = PublishEncoder.Header(packetID: packetID, isDuplicate: true)
        // The broker may have it already: its time cannot run out here.
        header.expiry = publish.remainingExpiryInterval(.now).map { max($0, 1) }
        do throws(MQTTError) {
            try checkLimits(of: publish)
            try encode(publish, header)
        } catch {
            _ = inFlight.remove(packetID)
            refuse(publish, error)
        }
    }

    // MARK: Expiry

    private static var expired: MQTTError {
        MQTTError(.messageExpired, "the message expired before it could be sent", phase: .connected)
    }

    /// While messages wait that expire, they are looked at every second.
    func watchExpiry() {
        guard expiryTimer == nil, shared.queue.hasExpiring else { return }
        expiryTimer = loop.setTimer(after: .seconds(1)) { [weak self] in
            self?.assumeIsolated { $0.removeExpired() }
        }
    }

    private func removeExpired() {
        expiryTimer = nil
        let now = ContinuousClock.now
        let expired = pending.remove { $0.hasExpired(now) }
        shared.queue.release(expired)
        giveUp(expired + shared.queue.removeExpired(now), Self.expired)
        watchExpiry()
        checkDrained()
    }

    /// There is a connection, or none: what does not wait for one is refused.
    func setOffline(_ isOffline: Bool) {
        var unwanted = shared.queue.setOffline(isOffline)
        if isOffline, !configuration.queue.queuesQoS0Offline {
            let own = pending.remove { $0.qos == .atMostOnce }
            shared.queue.release(own)
            unwanted = own + unwanted
        }
        giveUp(unwanted, OutgoingQueue.notConnected)
    }

    /// Refuses what the CONNACK of this connection rules out. libmosquitto sees no PUBLISH.
    private func checkLimits(of publish: OutgoingPublish) throws(MQTTError) {
        guard let limits else { return }
        if publish.qos > limits.maximumQoS {
            throw .operationRefused(.qosNotSupported, "the broker takes QoS \(limits.maximumQoS.rawValue) at most")
        }
        if publish.retain, !limits.retainAvailable {
            throw .operationRefused(.retainNotSupported, "the broker does not keep retained messages")
        }
    }

    /// QoS 0 has no packet identifier. Others wait for what is sent again, and for the window.
    private func mayHandOver(_ publish: OutgoingPublish) -> Bool {
        if publish.qos == .atMostOnce { return true }
        return unsentAgain.isEmpty && inFlight.count < window && inFlight.exactlyOnce < exactlyOnceLimit
    }

    /// MQTT 3.1.1 has no Receive Maximum, and mosquitto up to 2.0 closes the connection over more QoS 2 messages than its
    /// `max_inflight_messages`, by default 20; which is libmosquitto's default too.
    private var exactlyOnceLimit: Int { configuration.version == .v3_1_1 ? 20 : .max }

    /// A packet identifier that is not in use (section 2.2.1); `nil` if there is none.
    func makePacketID() -> UInt16? {
        for _ in 0..<UInt16.max where !isInUse(countPacketID()) { return lastPacketID }
        return nil
    }

    /// Messages of QoS 0 have none, and count, as they do for libmosquitto.
    private func countPacketID() -> UInt16 {
        lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        return lastPacketID
    }

    private func isInUse(_ packetID: UInt16) -> Bool {
        inFlight[packetID] != nil || restoring[packetID] != nil || unanswered[packetID] != nil
            || subscribing.contains { $0.packetIDs[packetID] != nil }
    }

    private var isPublishingAllowed: Bool {
        switch machine.state {
        case .connected, .draining(.shutdown): true
        default: false
        }
    }

    /// Goes on in the next turn with what this one left.
    func resumePumping() {
        guard isPublishingAllowed, let connection, let publish = nextPending() else { return }
        if mayHandOver(publish), !connection.isBacklogged { loop.schedule(self) }
    }

    // MARK: Acknowledgements

    /// PUBACK, PUBCOMP, or a PUBREC that refuses.
    func finished(_ acknowledgement: Acknowledgement, _ qos: MQTTQoS) {
        guard let publish = inFlight[acknowledgement.packetID] else { return }
        guard publish.qos == qos else { return mismatched(publish) }
        _ = inFlight.remove(acknowledgement.packetID)
        let code = MQTTReasonCode(rawValue: acknowledgement.reasonCode)
        if code.isError {
            var error = MQTTError.operationRefused(code, "the broker refused the publish: \(code)")
            error.explain(acknowledgement.explanation)
            refuse(publish, error)
            noticeRefusal(code)
        } else {
            metrics?.published(publish)
            // Of QoS 2, it is PUBREC that says what became of the message.
            publish.complete(.success(publish.received ?? MQTTPublishResult(acknowledgement)))
        }
        checkDrained()
    }

    /// PUBREC.
    func takenOver(_ acknowledgement: Acknowledgement) {
        if MQTTReasonCode(rawValue: acknowledgement.reasonCode).isError {
            return finished(acknowledgement, .exactlyOnce)
        }
        guard let publish = inFlight[acknowledgement.packetID] else { return }
        guard publish.qos == .exactlyOnce else { return mismatched(publish) }
        publish.received(acknowledgement)
    }

    private func mismatched(_ publish: OutgoingPublish) {
        ended(
            MQTTError(
                .protocolViolation,
                "the broker answered a PUBLISH of QoS \(publish.qos.rawValue) with the acknowledgement of another",
                phase: .connected))
    }

    func refuse(_ publish: OutgoingPublish, _ error: MQTTError) {
        if publish.continuation == nil {
            logger.warning(
                "a message was not published", metadata: ["mqtt.topic": "\(publish.topic)", "error": "\(error)"])
        }
        metrics?.failed(error)
        publish.complete(.failure(error))
    }

    /// The session is gone: what was not acknowledged is published anew, in its order. What the broker has taken over with
    /// PUBREC would be a duplicate.
    func requeueInFlight() {
        let publishes = inFlight.remove()
        for publish in publishes {
            guard let received = publish.received else { continue }
            metrics?.published(publish)
            publish.complete(.success(received))
        }
        pending.prepend(publishes.filter { $0.received == nil && !$0.isCancelled })
    }

    func failPublishes(_ error: MQTTError) {
        let publishes = inFlight.remove() + pending.takeAll() + shared.queue.close(error)
        giveUp(publishes, error)
    }

    /// Refuses many, with one line in the log.
    private func giveUp(_ publishes: [OutgoingPublish], _ error: MQTTError) {
        let unheard = publishes.count { $0.continuation == nil && !$0.isCancelled }
        if unheard > 0 {
            logger.warning(
                "enqueued messages were not published",
                metadata: ["mqtt.messages": "\(unheard)", "error": "\(error)"])
        }
        for publish in publishes {
            if !publish.isCancelled { metrics?.failed(error) }
            publish.complete(.failure(error))
        }
    }
}
