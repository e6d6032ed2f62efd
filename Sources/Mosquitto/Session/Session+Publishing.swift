import DequeModule
import Logging
import ServiceLifecycle

/// Outgoing messages: from the outbox to the library, a window at a time, and back if they were not acknowledged.
extension Session {
    /// How many messages one turn hands over at most, so that other clients of the loop have theirs.
    private static let turnLimit = (messages: 2_048, bytes: 1 << 20)

    // MARK: From any thread

    nonisolated func enqueue(_ publish: OutgoingPublish) throws(MQTTError) {
        if try shared.queue.post(publish) { loop.schedule(self) }
    }

    nonisolated func publish(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        let outcome = await withGracefulShutdownHandler {
            await self.awaitPublish(publish)
        } onGracefulShutdown: {
            Task { await self.leave(.publish(publish)) }
        }
        if case .failure(let error) = outcome, error.code == .stopped { await shared.awaitTurn() }
        return try outcome.get()
    }

    private nonisolated func awaitPublish(_ publish: OutgoingPublish) async -> OutgoingPublish.Outcome {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: OutgoingPublish.Continuation) in
                do throws(MQTTError) {
                    if try shared.queue.post(publish, continuation) { loop.schedule(self) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            withdraw(publish, MQTTError(.cancelled, "the publish was cancelled"))
        }
    }

    /// Ends the wait for a publish, with this error.
    nonisolated func withdraw(_ publish: OutgoingPublish, _ error: MQTTError) {
        switch shared.queue.withdraw(publish, error) {
        // Posting it fails, or somebody else tells the caller.
        case .unposted, .gone: break
        // A shutdown may have waited for it.
        case .withdrawn: Task { await self.checkDrained() }
        case .taken: Task { await self.cancel(publish, error) }
        }
    }

    private func cancel(_ publish: OutgoingPublish, _ error: MQTTError) {
        guard let continuation = publish.takeContinuation() else { return }
        // A message that was sent is acknowledged all the same.
        publish.isCancelled = true
        pending.remove(publish)
        continuation.resume(returning: .failure(error))
        checkDrained()
    }

    // MARK: On the loop

    /// Hands over as much as the window, the socket and the turn allow. ``flush()`` sends it.
    func pump() {
        guard let connection, connection.stage == .established, isPublishingAllowed, !connection.isBacklogged
        else { return }
        sendAgain(connection)
        var allowance = allowance
        while let publish = pending.first, allowance.permits(publish), isUnsuspected(publish) {
            pending.remove(publish)
            allowance.spend(on: publish)
            handOver(publish, connection)
        }
        var isLast = !pending.isEmpty || !mayFollowSuspects()
        while !isLast {
            shared.queue.take(Self.chunk, &allowance, into: &taken)
            isLast = taken.count < Self.chunk
            for publish in taken { handOver(publish, connection) }
            taken.removeAll(keepingCapacity: true)
        }
        write(connection)
        watchAge()
    }

    /// How many messages are taken from the queue at a time. All of them are handed over at once.
    private static let chunk = 256

    /// Room of this turn. QoS 0 has no packet identifier; others wait for the messages that are sent again, and for the window.
    private var allowance: OutgoingQueue.Allowance {
        let window = unsentAgain.isEmpty ? window - inFlight.count : 0
        return OutgoingQueue.Allowance(
            messages: Self.turnLimit.messages, bytes: Self.turnLimit.bytes, acknowledged: window,
            exactlyOnce: exactlyOnceLimit - inFlight.exactlyOnce)
    }

    /// Bytes that are encrypted in one go: a few full records of TLS.
    private static let writeSize = 1 << 16

    private func handOver(_ publish: OutgoingPublish, _ connection: Connection) {
        do throws(MQTTError) {
            try encode(publish)
        } catch {
            refuse(publish, error)
        }
        if encoder.bytes.count >= Self.writeSize { write(connection) }
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
        if publish.qos == .atMostOnce {
            unsent.append(publish, end: encoder.bytes.count)
        } else {
            lastSequence = publish.sequence
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
            Client \(configuration.effectiveClientID) sending PUBLISH (d\(header.isDuplicate ? 1 : 0), q\(publish.qos.rawValue), \
            r\(publish.retain ? 1 : 0), m\(header.packetID), '\(publish.topic)', ... (\(publish.payload.count) bytes))
            """)
    }

    // MARK: Sending again

    /// The broker has the session: what it has not acknowledged is sent again, in its order (MQTT 5.0, sections 4.4 and 4.6).
    func resumeInFlight() { unsentAgain = Deque(inFlight.packetIDs) }

    /// With a PUBREL for what the broker has taken over. The Receive Maximum may be smaller than before.
    private func sendAgain(_ connection: Connection) {
        while !connection.isBacklogged, let packetID = unsentAgain.first {
            if let publish = inFlight[packetID] {
                if publish.received != nil {
                    encoder.appendRelease(packetID)
                    logger.trace("Client \(configuration.effectiveClientID) sending PUBREL (m\(packetID))")
                } else {
                    guard inFlight.count - unsentAgain.count < min(window, isolationWindow) else { break }
                    encodeAgain(publish, packetID)
                }
            }
            unsentAgain.removeFirst()
            if encoder.bytes.count >= Self.writeSize { write(connection) }
        }
        write(connection)
    }

    private func encodeAgain(_ publish: OutgoingPublish, _ packetID: UInt16) {
        publish.isRepeated = true
        lastSequence = max(lastSequence, publish.sequence)
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

    // MARK: Limits

    /// There is a connection, or none: refuses the messages that do not wait for one.
    func setOffline(_ isOffline: Bool) {
        var unwanted = shared.queue.setOffline(isOffline)
        if isOffline, !configuration.queue.queuesQoS0Offline {
            unwanted = pending.remove { $0.qos == .atMostOnce } + unwanted
        }
        giveUp(unwanted, OutgoingQueue.notConnected)
        watchExpiry()
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

    /// MQTT 3.1.1 has no Receive Maximum, and mosquitto up to 2.0 closes the connection over more QoS 2 messages than its
    /// `max_inflight_messages`, by default 20; which is libmosquitto's default too.
    private var exactlyOnceLimit: Int { configuration.version == .v3_1_1 ? 20 : .max }

    /// A packet identifier that is not in use (section 2.2.1); `nil` if there is none.
    func makePacketID() -> UInt16? {
        for _ in 0..<UInt16.max where !isInUse(countPacketID()) { return lastPacketID }
        return nil
    }

    /// The session is resumed, and this client has sent nothing in it: an earlier process has, and may have left identifiers in use, low
    /// ones more likely than others. A broker would take a new message of QoS 2 under one of them for a repetition (section 4.3.3).
    func avoidForeignPacketIDs() {
        if lastPacketID == 0 { lastPacketID = .random(in: 1..<(.max)) }
    }

    /// Messages of QoS 0 have none, and count, as they do for libmosquitto.
    private func countPacketID() -> UInt16 {
        lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        return lastPacketID
    }

    private func isInUse(_ packetID: UInt16) -> Bool {
        inFlight[packetID] != nil || restoring[packetID] != nil || unanswered[packetID] != nil
            || foreignPacketIDs.contains(packetID) || subscribing.contains { $0.packetIDs[packetID] != nil }
    }

    private var isPublishingAllowed: Bool {
        switch machine.state {
        case .connected, .draining(.shutdown): true
        default: false
        }
    }

    /// Goes on in the next turn with the messages that this one left.
    func resumePumping() {
        guard isPublishingAllowed, let connection, !connection.isBacklogged else { return }
        let isDue =
            pending.first.map { allowance.permits($0) && isUnsuspected($0) }
            ?? (shared.queue.hasNext(allowance) && mayFollowSuspects())
        if isDue { loop.schedule(self) }
    }

    // MARK: Acknowledgements

    /// PUBACK, PUBCOMP, or a PUBREC that refuses.
    func finished(_ acknowledgement: Acknowledgement, _ qos: MQTTQoS) {
        guard let publish = inFlight[acknowledgement.packetID] else { return }
        guard publish.qos == qos else { return mismatched(publish) }
        _ = inFlight.remove(acknowledgement.packetID)
        answers += 1
        answered(.publish(publish))
        let code = MQTTReasonCode(rawValue: acknowledgement.reasonCode)
        if let received = publish.received {
            // PUBREC says what became of the message. In recovery the broker may know its identifier no more (MQTT 5.0, section 3.7.2.1).
            succeed(publish, received)
        } else if !code.isError {
            succeed(publish, MQTTPublishResult(acknowledgement))
        } else if code != .packetIdentifierInUse || !renumber(publish, acknowledgement.packetID) {
            var error = MQTTError.operationRefused(code, "the broker refused the publish: \(code)")
            error.explain(acknowledgement.explanation)
            refuse(publish, error)
            noticeRefusal(code)
        }
        checkDrained()
    }

    /// PUBREC.
    func takenOver(_ acknowledgement: Acknowledgement) {
        guard let publish = inFlight[acknowledgement.packetID] else { return }
        guard publish.qos == .exactlyOnce else { return mismatched(publish) }
        answers += 1
        let code = MQTTReasonCode(rawValue: acknowledgement.reasonCode)
        if code == .packetIdentifierInUse, publish.isRepeated, publish.received == nil {
            // The broker has the message from its first sending, and waits for PUBREL.
            publish.received = .success
            unsentAgain.prepend(acknowledgement.packetID)
        } else if code.isError {
            finished(acknowledgement, .exactlyOnce)
        } else {
            publish.received = MQTTPublishResult(acknowledgement)
        }
        if publish.received != nil { answered(.publish(publish)) }
    }

    /// The broker has this identifier in use, from an earlier process with the same session: sends the message under another one, and
    /// leaves this one alone for as long as the session lasts. Returns whether that is worth a try.
    private func renumber(_ publish: OutgoingPublish, _ packetID: UInt16) -> Bool {
        guard !publish.isCancelled, publish.renumberings < Self.renumberingLimit else { return false }
        publish.renumberings += 1
        publish.isRepeated = false
        foreignPacketIDs.insert(packetID)
        pending.putBack([publish])
        return true
    }

    /// More than a window of mosquitto's.
    private static let renumberingLimit = 100

    private func mismatched(_ publish: OutgoingPublish) {
        ended(
            MQTTError(
                .protocolViolation,
                "the broker answered a PUBLISH of QoS \(publish.qos.rawValue) with the acknowledgement of another",
                phase: .connected))
    }

    func succeed(_ publish: OutgoingPublish, _ result: MQTTPublishResult) {
        metrics?.published(publish)
        publish.complete(.success(result))
    }

    func refuse(_ publish: OutgoingPublish, _ error: MQTTError) {
        if publish.continuation == nil {
            logger.warning(
                "a message was not published", metadata: ["mqtt.topic": "\(publish.topic)", "error": "\(error)"])
        }
        metrics?.failed(error)
        publish.complete(.failure(error))
    }

    /// The session is gone: publishes messages that were not acknowledged anew, in their order. A message that the broker has taken over
    /// with PUBREC would be a duplicate.
    func requeueInFlight() {
        foreignPacketIDs.removeAll()
        let publishes = inFlight.remove()
        for publish in publishes {
            publish.isRepeated = false
            if let received = publish.received { succeed(publish, received) }
        }
        pending.putBack(publishes.filter { $0.received == nil && !$0.isCancelled })
        watchExpiry()
    }

    /// The client has stopped. A message that the broker has taken over with PUBREC is published.
    func failPublishes(_ error: MQTTError) {
        let sent = inFlight.remove()
        for publish in sent { if let received = publish.received { succeed(publish, received) } }
        giveUp(sent.filter { $0.received == nil } + pending.takeAll() + shared.queue.close(error), error)
    }

    /// Refuses many, with one line in the log.
    func giveUp(_ publishes: [OutgoingPublish], _ error: MQTTError) {
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
