import Logging

/// A SUBSCRIBE that a caller waits for.
struct SubscribeOperation {
    let consumer: MessageBuffer
    /// The packets under way: the filters of each.
    var packetIDs: [UInt16: [String]] = [:]
    var reasonCodes: [String: MQTTReasonCode] = [:]
    var continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>
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
            var operation = SubscribeOperation(consumer: consumer, continuation: continuation)
            if case .connected = machine.state {
                operation.packetIDs = sendSubscribe(SubscriptionTable.grouped(consumer.subscriptions))
            }
            subscribing.append(operation)
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
        if case .connected = machine.state { sendUnsubscribe() }
        resumeReading()
    }

    // MARK: Packets

    private func sendSubscribe(_ groups: [[MQTTSubscription]]) -> [UInt16: [String]] {
        var packetIDs: [UInt16: [String]] = [:]
        guard let handle, connection != nil else { return packetIDs }
        for group in groups {
            let filters = group.map(\.filter.filter)
            do throws(MQTTError) {
                packetIDs[try handle.subscribe(filters, qos: group[0].qos, options: group[0].options)] = filters
            } catch {
                logger.error("a SUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
            }
        }
        needsFlush()
        return packetIDs
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
        let groups = subscriptions.unconfirmed()
        guard !groups.isEmpty else { return }
        var packetIDs = sendSubscribe(groups)
        // Each waiting call learns of the packets that carry its filters.
        for index in subscribing.indices {
            let wanted = Set(subscribing[index].consumer.subscriptions.map(\.filter.filter))
            subscribing[index].packetIDs = packetIDs.filter { !wanted.isDisjoint(with: $0.value) }
        }
        let waited = Set(subscribing.flatMap { $0.consumer.subscriptions.map(\.filter.filter) })
        packetIDs = packetIDs.filter { !Set($0.value).isSubset(of: waited) }
        restoring = packetIDs
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
            if consumers.isEmpty {
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
        let current = generation
        do throws(MQTTError) {
            try connection.resumeReading()
            handleEvents(of: connection)
            guard current == generation else { return }
            updateInterest()
        } catch {
            handleEvents(of: connection)
            guard current == generation else { return }
            perform(machine.connectionLost(error, now: .now))
        }
    }
}
