import Logging

/// A SUBSCRIBE that a caller waits for.
struct SubscribeOperation {
    let consumer: MessageBuffer
    /// The packets under way: the filters of each.
    var packetIDs: [UInt16: [String]] = [:]
    var reasonCodes: [String: MQTTReasonCode] = [:]
    var continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>

    /// Whether it asked for one of these filters.
    func isWaiting(for filters: [String]) -> Bool {
        consumer.subscriptions.contains { filters.contains($0.filter.filter) }
    }
}

/// Subscriptions, and the messages that come for them.
extension Session {
    nonisolated func subscribe(_ consumer: MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] {
        if Task.isCancelled { throw MQTTError(.cancelled, "the subscription was cancelled") }
        let outcome = await withTaskCancellationHandler {
            await self.add(consumer)
        } onCancel: {
            Task { await self.cancelSubscribing(consumer) }
        }
        return try outcome.get()
    }

    private func add(_ consumer: MessageBuffer) async -> Result<[MQTTReasonCode], MQTTError> {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        return await withCheckedContinuation { continuation in
            if Task.isCancelled {
                return continuation.resume(returning: .failure(MQTTError(.cancelled, "the subscription was cancelled")))
            }
            subscriptions.add(consumer)
            _ = consumer.append(unclaimed.claim(for: consumer))
            subscribing.append(SubscribeOperation(consumer: consumer, continuation: continuation))
            if case .connected = machine.state { sendSubscribe(subscriptions.groups(of: consumer)) }
        }
    }

    private func cancelSubscribing(_ consumer: MessageBuffer) {
        guard let index = subscribing.firstIndex(where: { $0.consumer === consumer }) else { return }
        let operation = subscribing.remove(at: index)
        operation.continuation.resume(returning: .failure(MQTTError(.cancelled, "the subscription was cancelled")))
    }

    /// The scope of a subscription ends. Nobody waits for the UNSUBACK.
    func unsubscribe(_ consumer: MessageBuffer) {
        consumer.finish()
        subscriptions.remove(consumer)
        // What still comes for it is not for a later consumer.
        _ = unclaimed.claim(for: consumer)
        if case .connected = machine.state { sendUnsubscribe() }
        resumeReading()
    }

    // MARK: Packets

    private func sendSubscribe(_ groups: [[MQTTSubscription]]) {
        for group in groups { sendSubscribe(group) }
        needsFlush()
    }

    private func sendSubscribe(_ group: [MQTTSubscription]) {
        guard let handle, connection != nil else { return }
        let filters = group.map(\.filter.filter)
        do throws(MQTTError) {
            let packetID = try handle.subscribe(filters, qos: group[0].qos, options: group[0].options)
            var isAwaited = false
            for index in subscribing.indices where subscribing[index].isWaiting(for: filters) {
                subscribing[index].packetIDs[packetID] = filters
                isAwaited = true
            }
            if !isAwaited { restoring[packetID] = filters }
        } catch {
            // One filter that cannot be sent must not keep the others of its group from the broker.
            if group.count > 1 { return sendSubscribe(group.map { [$0] }) }
            logger.error("a SUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
            failSubscribing(to: filters[0], error)
        }
    }

    func failSubscribing(to filter: String, _ error: MQTTError) {
        let failed = subscribing.filter { $0.isWaiting(for: [filter]) }
        subscribing.removeAll { $0.isWaiting(for: [filter]) }
        for operation in failed { operation.continuation.resume(returning: .failure(error)) }
    }

    private func sendUnsubscribe() {
        let filters = subscriptions.takeAbandoned()
        guard !filters.isEmpty, let handle, connection != nil else { return }
        do throws(MQTTError) { try handle.unsubscribe(filters) } catch {
            logger.error("an UNSUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
        }
        needsFlush()
    }

    /// After a CONNACK: what the broker's session lacks.
    func restoreSubscriptions() {
        sendUnsubscribe()
        for operation in subscribing { subscriptions.expectAnswer(operation.consumer) }
        sendSubscribe(subscriptions.unconfirmed())
    }

    func subscribed(_ packetID: UInt16, _ codes: [UInt8]) {
        var finished: [SubscribeOperation] = []
        var filters: [String]?
        for index in subscribing.indices.reversed() {
            guard let named = subscribing[index].packetIDs.removeValue(forKey: packetID) else { continue }
            filters = named
            for (filter, code) in zip(named, codes) {
                subscribing[index].reasonCodes[filter] = MQTTReasonCode(rawValue: code)
            }
            if subscribing[index].packetIDs.isEmpty { finished.append(subscribing.remove(at: index)) }
        }
        let restored = restoring.removeValue(forKey: packetID)
        for (filter, code) in zip(filters ?? restored ?? [], codes) {
            if code < 0x80 {
                subscriptions.confirm(filter)
            } else if filters == nil {
                logger.error(
                    "the broker refused a filter after a reconnect",
                    metadata: ["mqtt.filter": "\(filter)", "mqtt.reason_code": "\(MQTTReasonCode(rawValue: code))"])
            }
        }
        for code in codes { noticeRefusal(MQTTReasonCode(rawValue: code)) }
        if let restored { emit(.resubscribed(filters: restored)) }
        for operation in finished { complete(operation) }
    }

    private func complete(_ operation: SubscribeOperation) {
        let codes = operation.consumer.subscriptions.map {
            operation.reasonCodes[$0.filter.filter] ?? .unspecifiedError
        }
        guard let index = codes.firstIndex(where: \.isError) else {
            return operation.continuation.resume(returning: .success(codes))
        }
        let filter = operation.consumer.subscriptions[index].filter.filter
        var error = MQTTError(
            .operationRefused, "the broker refused the topic filter \(quoted(filter)): \(codes[index])",
            phase: .connected)
        error.reasonCode = codes[index]
        error.rawReasonCode = codes[index].rawValue
        operation.continuation.resume(returning: .failure(error))
    }

    func failSubscriptions(_ error: MQTTError) {
        for operation in subscribing { operation.continuation.resume(returning: .failure(error)) }
        subscribing.removeAll()
        for consumer in subscriptions.consumers { consumer.finish() }
    }

    // MARK: Messages

    /// Hands messages to their consumers, those in a row with the same topic in one go.
    func deliver(_ messages: [MQTTMessage]) {
        var start = 0
        while start < messages.count {
            var end = start + 1
            while end < messages.count, messages[end].topic == messages[start].topic { end += 1 }
            let run = start == 0 && end == messages.count ? messages : Array(messages[start..<end])
            let consumers = subscriptions.consumers(of: messages[start].topic)
            if consumers.isEmpty, configuration.session != .clean {
                let lost = unclaimed.hold(run)
                if lost > 0 {
                    logger.warning(
                        "messages of the resumed session were dropped, since nothing subscribes to their topics",
                        metadata: ["mqtt.messages": "\(lost)"])
                }
            } else if consumers.isEmpty {
                logger.debug("a message matches no subscription", metadata: ["mqtt.topic": "\(messages[start].topic)"])
            }
            for consumer in consumers where consumer.append(run) {
                connection?.isReadingPaused = true
            }
            start = end
        }
        updateInterest()
    }

    /// A consumer has made room, or is gone.
    func resumeReading() {
        guard let connection, connection.isReadingPaused, !subscriptions.consumers.contains(where: \.isPausing) else {
            return
        }
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
}
