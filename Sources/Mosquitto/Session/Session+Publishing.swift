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

    /// Hands over as much as the window, the socket and the turn allow. ``flush()`` writes it.
    func pump() {
        guard let handle, let connection, connection.stage == .established, isPublishingAllowed,
            !connection.isBacklogged
        else { return }
        var handedOver: [OutgoingPublish] = []
        var sent: [OutgoingPublish] = []
        var bytes = 0
        for _ in 0..<Self.turnLimit.messages where bytes < Self.turnLimit.bytes {
            guard let publish = nextPending(), mayHandOver(publish, handle) else { break }
            _ = pending.popFirst()
            bytes += publish.payload.count
            handedOver.append(publish)
            do throws(MQTTError) {
                let now = publish.expiry == nil ? nil : ContinuousClock.now
                if let now, publish.hasExpired(now) { throw Self.expired }
                try checkLimits(of: publish)
                let alias = mayHaveAlias(publish) ? aliases.alias(of: publish.topic) : nil
                let packetID = try handle.publish(
                    publish, expiry: now.flatMap { publish.remainingExpiryInterval($0) }, alias: alias)
                if let alias, !alias.isKnown { aliases.told(publish.topic, alias.number) }
                lastSequence += 1
                publish.sequence = lastSequence
                if publish.qos == .atMostOnce {
                    metrics?.published(publish)
                    if publish.continuation != nil { sent.append(publish) }
                } else {
                    inFlight.insert(publish, packetID)
                }
            } catch {
                refuse(publish, error)
            }
        }
        shared.queue.release(handedOver)
        for publish in sent { publish.complete(.success(MQTTPublishResult(reasonCode: .success))) }
    }

    private static let chunk = 256

    private func nextPending() -> OutgoingPublish? {
        if let publish = pending.first { return publish }
        for publish in shared.queue.take(Self.chunk) { pending.append(publish) }
        return pending.first
    }

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

    /// What the broker's CONNACK rules out, as far as libmosquitto does not say it or remembers an older one.
    private func checkLimits(of publish: OutgoingPublish) throws(MQTTError) {
        guard let limits else { return }
        if publish.qos > limits.maximumQoS {
            throw .operationRefused(.qosNotSupported, "the broker takes QoS \(limits.maximumQoS.rawValue) at most")
        }
        if publish.retain, !limits.retainAvailable {
            throw .operationRefused(.retainNotSupported, "the broker does not keep retained messages")
        }
    }

    /// An alias is of one connection. What libmosquitto keeps for the next one must not have any.
    private func mayHaveAlias(_ publish: OutgoingPublish) -> Bool {
        publish.qos == .atMostOnce || configuration.session == .clean
    }

    /// QoS 0 has no packet identifier on the wire. Others wait for the window, and for an identifier that is free.
    private func mayHandOver(_ publish: OutgoingPublish, _ handle: MosquittoHandle) -> Bool {
        if publish.qos == .atMostOnce { return true }
        return inFlight.count < window && inFlight.exactlyOnce < exactlyOnceLimit && findFreePacketID(handle)
    }

    /// MQTT 3.1.1 has no Receive Maximum, and mosquitto up to 2.0 closes the connection over more QoS 2 messages than its
    /// `max_inflight_messages`, by default 20; which is libmosquitto's default too.
    private var exactlyOnceLimit: Int { configuration.version == .v3_1_1 ? 20 : .max }

    /// Brings the library to a packet identifier that is not in use: it counts on, and does not look. `false` if it cannot be
    /// brought to skip one.
    func findFreePacketID(_ handle: MosquittoHandle) -> Bool {
        while isInUse(handle.nextPacketID) {
            if !handle.skipPacketID() { return false }
        }
        return true
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
        guard isPublishingAllowed, let connection, let handle, let publish = nextPending() else { return }
        if mayHandOver(publish, handle), !connection.isBacklogged { loop.schedule(self) }
    }

    func acknowledged(_ packetID: UInt16, _ reasonCode: UInt8, _ explanation: Explanation?) {
        guard let publish = inFlight.remove(packetID) else { return }
        let code = MQTTReasonCode(rawValue: reasonCode)
        if code.isError {
            var error = MQTTError.operationRefused(code, "the broker refused the publish: \(code)")
            error.explain(explanation)
            refuse(publish, error)
            noticeRefusal(code)
        } else {
            metrics?.published(publish)
            // Of QoS 2, it is PUBREC that says what became of the message.
            publish.complete(.success(publish.received ?? MQTTPublishResult(reasonCode: code, explanation)))
        }
        checkDrained()
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
