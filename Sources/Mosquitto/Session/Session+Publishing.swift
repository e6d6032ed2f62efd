import Logging

/// Outgoing messages: from the outbox to the library, a window at a time, and back if they were not acknowledged.
extension Session {
    /// How many messages one turn hands over at most, so that other clients of the loop have theirs.
    private static let turnLimit = (messages: 2_048, bytes: 1 << 20)

    // MARK: From any thread

    nonisolated func enqueue(_ publish: OutgoingPublish) throws(MQTTError) {
        publish.isEnqueued = true
        if try shared.post(publish) { loop.schedule(self) }
    }

    nonisolated func publish(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                publish.continuation = continuation
                do throws(MQTTError) {
                    if try shared.post(publish) { loop.schedule(self) }
                } catch {
                    publish.complete(.failure(error))
                }
            }
        } onCancel: {
            // Before it is admitted, the caller itself finds out; after that, the message is the loop's.
            if shared.withdraw(publish) { Task { await self.cancel(publish) } }
        }
        return try outcome.get()
    }

    private func cancel(_ publish: OutgoingPublish) {
        takeOutbox()
        guard publish.continuation != nil else { return }
        publish.isCancelled = true
        publish.complete(.failure(MQTTError(.cancelled, "the publish was cancelled")))
        // What the library has is sent and acknowledged all the same.
        pending.remove(publish)
        checkDrained()
    }

    // MARK: On the loop

    func takeOutbox() {
        let messages = shared.takeOutbox()
        guard !messages.isEmpty else { return }
        if case .stopped = machine.state {
            for message in messages { message.complete(.failure(MQTTError(.stopped, "the client has stopped"))) }
            return
        }
        pending.append(messages)
        needsFlush()
    }

    /// Hands over as much as the window, the socket and the turn allow. ``flush()`` writes it.
    func pump() {
        guard let handle, let connection, connection.stage == .established, isPublishingAllowed,
            !connection.isBacklogged
        else { return }
        var enqueued = 0
        var sent: [OutgoingPublish] = []
        var bytes = 0
        for _ in 0..<Self.turnLimit.messages where bytes < Self.turnLimit.bytes {
            guard let publish = pending.first, mayHandOver(publish, handle) else { break }
            _ = pending.popFirst()
            bytes += publish.payload.count
            if publish.isEnqueued {
                enqueued += 1
                publish.isEnqueued = false
            }
            do throws(MQTTError) {
                let packetID = try handle.publish(publish)
                lastSequence += 1
                publish.sequence = lastSequence
                if publish.qos == .atMostOnce {
                    if publish.continuation != nil { sent.append(publish) }
                } else {
                    inFlight[packetID] = publish
                }
            } catch {
                refuse(publish, error)
            }
        }
        shared.dequeued(enqueued)
        for publish in sent { publish.complete(.success(MQTTPublishResult(reasonCode: .success))) }
    }

    /// QoS 0 has no packet identifier on the wire. Others wait for the window, and for an identifier that is free.
    private func mayHandOver(_ publish: OutgoingPublish, _ handle: MosquittoHandle) -> Bool {
        publish.qos == .atMostOnce || inFlight.count < window && inFlight[handle.nextPacketID] == nil
    }

    private var isPublishingAllowed: Bool {
        switch machine.state {
        case .connected, .draining(.shutdown): true
        default: false
        }
    }

    /// Goes on in the next turn with what this one left.
    func resumePumping() {
        guard let publish = pending.first, isPublishingAllowed, let connection, let handle else { return }
        if mayHandOver(publish, handle), !connection.isBacklogged { loop.schedule(self) }
    }

    func acknowledged(_ packetID: UInt16, _ reasonCode: UInt8) {
        guard let publish = inFlight.removeValue(forKey: packetID) else { return }
        let code = MQTTReasonCode(rawValue: reasonCode)
        if code.isError {
            var error = MQTTError(.operationRefused, "the broker refused the publish: \(code)", phase: .connected)
            error.reasonCode = code
            error.rawReasonCode = reasonCode
            refuse(publish, error)
            noticeRefusal(code)
        } else {
            publish.complete(.success(MQTTPublishResult(reasonCode: code)))
        }
        checkDrained()
    }

    func refuse(_ publish: OutgoingPublish, _ error: MQTTError) {
        if publish.continuation == nil {
            logger.warning(
                "a message was not published", metadata: ["mqtt.topic": "\(publish.topic)", "error": "\(error)"])
        }
        publish.complete(.failure(error))
    }

    /// The session is gone: what was not acknowledged is published anew, in its order. What the broker has taken over with
    /// PUBREC would be a duplicate.
    func requeueInFlight() {
        let publishes = inFlight.values.sorted { $0.sequence < $1.sequence }
        inFlight.removeAll()
        for publish in publishes where publish.isReceived {
            publish.complete(.success(MQTTPublishResult(reasonCode: .success)))
        }
        pending.prepend(publishes.filter { !$0.isReceived && !$0.isCancelled })
    }

    func failPublishes(_ error: MQTTError) {
        let publishes = Array(inFlight.values) + pending.takeAll() + shared.closeOutbox(error)
        inFlight.removeAll()
        let unheard = publishes.count { $0.continuation == nil && !$0.isCancelled }
        if unheard > 0 {
            logger.warning("enqueued messages were not published", metadata: ["mqtt.messages": "\(unheard)"])
        }
        for publish in publishes { publish.complete(.failure(error)) }
    }
}
