import Logging

/// A SUBSCRIBE with a waiting caller.
struct SubscribeOperation {
    let consumer: MessageBuffer
    /// True if the caller accepts the granted filters when others are refused.
    var acceptsRefusals = false
    /// The filters of each unanswered packet.
    var packetIDs: [UInt16: [String]] = [:]
    var reasonCodes: [String: MQTTReasonCode] = [:]
    var explanation: ReasonExplanation?
    var continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>

    /// Returns true if the operation includes one of these filters.
    func isWaiting(for filters: [String]) -> Bool {
        consumer.subscriptions.contains { filters.contains($0.filter.filter) }
    }

    /// True if the broker has answered for each filter.
    var isAnswered: Bool {
        packetIDs.isEmpty && consumer.subscriptions.allSatisfy { reasonCodes[$0.filter.filter] != nil }
    }

    /// Discards the answers that the next connection requests again.
    mutating func connectionEnded() {
        packetIDs = [:]
        reasonCodes = reasonCodes.filter(\.value.isError)
    }
}

/// A SUBSCRIBE without a waiting caller.
struct Restoration {
    var filters: [String]
    /// True if only the identifier is new.
    var isSilent: Bool
}

/// Subscribing to filters. Session+Delivering handles their messages, Session+Unsubscribing their end.
extension Session {
    /// - Parameter acceptsRefusals: true to succeed if the broker grants only some of the filters.
    nonisolated func subscribe(
        _ consumer: MessageBuffer, acceptsRefusals: Bool = false
    ) async throws(MQTTError) -> [MQTTReasonCode] {
        if Task.isCancelled { throw MQTTError(.cancelled, "the subscription was cancelled") }
        let outcome = await withTaskCancellationHandler {
            await self.add(consumer, acceptsRefusals)
        } onCancel: {
            Task { await self.cancelSubscribing(consumer) }
        }
        if case .failure(let error) = outcome, error.code == .stopped, await shared.awaitTurn() {
            // The group has shut the client down before this service: there is nothing to receive, which is not a
            // failure.
            consumer.finish()
            return []
        }
        return try outcome.get()
    }

    private func add(
        _ consumer: MessageBuffer, _ acceptsRefusals: Bool
    ) async -> Result<[MQTTReasonCode], MQTTError> {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        watchIdle()
        // The task was shut down gracefully before.
        if consumer.isFinished { return .success([]) }
        return await withCheckedContinuation { continuation in
            if Task.isCancelled {
                return continuation.resume(returning: .failure(MQTTError(.cancelled, "the subscription was cancelled")))
            }
            let claimed = claim(for: consumer)
            subscriptions.add(consumer)
            for subscription in consumer.subscriptions { noteWanted(subscription.filter) }
            let isFull = consumer.append(claimed)
            if consumer.isLocal { return continuation.resume(returning: .success([])) }
            keepSubscribed(consumer.subscriptions.map(\.filter.filter))
            subscribing.append(
                SubscribeOperation(consumer: consumer, acceptsRefusals: acceptsRefusals, continuation: continuation))
            defer { if isFull { beginEarly(consumer) } }
            guard case .connected = machine.state else { return }
            sendSubscribe(subscriptions.groups(of: consumer))
            sendSubscribe(subscriptions.unidentified(), isSilent: true)
        }
    }

    private func cancelSubscribing(_ consumer: MessageBuffer) {
        guard let operation = takeOperation(of: consumer) else { return }
        operation.continuation.resume(returning: .failure(MQTTError(.cancelled, "the subscription was cancelled")))
    }

    // MARK: Packets

    func sendSubscribe(_ groups: [SubscriptionTable.Group], isSilent: Bool = false) {
        for group in groups {
            for part in group.parts(of: maximumFilters) { sendSubscribe(part, isSilent: isSilent) }
        }
        needsFlush()
    }

    private func sendSubscribe(_ group: SubscriptionTable.Group, isSilent: Bool) {
        guard let connection else { return }
        let (possible, impossible) = checkLimits(of: group)
        for (filter, error) in impossible { cannotSubscribe(to: filter, error, isSilent: isSilent) }
        if possible.subscriptions.isEmpty { return }
        do throws(MQTTError) {
            let filters = possible.filters
            let packetID = try requirePacketID()
            let packet = PacketEncoder.subscribe(possible, packetID, configuration.version)
            try checkSize(of: packet, "the SUBSCRIBE")
            connection.write(packet)
            noteSent(packetID, connection)
            subscriptions.noteAsked(filters)
            for subscription in possible.subscriptions { trace(subscription, packetID) }
            var isAwaited = false
            for index in subscribing.indices where subscribing[index].isWaiting(for: filters) {
                subscribing[index].packetIDs[packetID] = filters
                isAwaited = true
            }
            if !isAwaited { restoring[packetID] = Restoration(filters: filters, isSilent: isSilent) }
        } catch {
            // A filter that cannot be sent must not keep the rest of its group from being sent.
            if possible.subscriptions.count > 1 {
                for subscription in possible.subscriptions {
                    sendSubscribe(SubscriptionTable.Group(subscriptions: [subscription]), isSilent: isSilent)
                }
            } else {
                cannotSubscribe(to: possible.filters[0], error, isSilent: isSilent)
            }
        }
    }

    /// Logs a packet in libmosquitto's format.
    private func trace(_ subscription: MQTTSubscription, _ packetID: UInt16) {
        logger.trace(
            """
            Client \(configuration.effectiveClientID) sending SUBSCRIBE (Mid: \(packetID), Topic: \(subscription.filter), \
            QoS: \(subscription.qos.rawValue), Options: 0x\(subscription.options < 16 ? "0" : "")\(String(subscription.options, radix: 16)))
            """)
    }

    func checkSize(of packet: [UInt8], _ what: String) throws(MQTTError) {
        if packet.count > VariableByteInteger.maximum {
            throw .operationRefused(.packetTooLarge, "\(what) is larger than MQTT allows")
        }
        guard let limit = publisher.limits?.maximumPacketSize, packet.count > limit else { return }
        throw .operationRefused(.packetTooLarge, "\(what) is larger than the broker takes")
    }

    /// Splits a group into the filters that the broker's CONNACK permits, and those that it rules out.
    private func checkLimits(
        of group: SubscriptionTable.Group
    ) -> (possible: SubscriptionTable.Group, impossible: [(filter: String, error: MQTTError)]) {
        guard let limits = publisher.limits else { return (group, []) }
        var possible = group
        var impossible: [(filter: String, error: MQTTError)] = []
        possible.subscriptions.removeAll { subscription in
            guard let code = limits.objection(to: subscription.filter) else { return false }
            let filter = subscription.filter.filter
            var error = MQTTError.operationRefused(code, "the broker does not take \(quoted(filter)): \(code)")
            error.refusedFilters = [subscription.filter]
            impossible.append((filter, error))
            return true
        }
        return (possible, impossible)
    }

    /// Reports a filter that cannot be sent to its waiting callers, and to its consumers from before the reconnect.
    ///
    /// - Parameter isSilent: true if the broker has the filter, and only its identifier is new.
    private func cannotSubscribe(to filter: String, _ error: MQTTError, isSilent: Bool) {
        logger.error(
            "a topic filter cannot be subscribed to", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        if isSilent { return }
        // If no packet identifier is free, the next connection subscribes.
        guard error.code == .operationRefused else { return failSubscribing(to: filter, error) }
        failAndTell(filter, error)
        // No SUBSCRIBE was sent, and a broker that does not support such filters may object to an UNSUBSCRIBE too.
        if subscriptions.wanted.contains(filter) { subscriptions.revoke(filter) }
    }

    /// Fails the calls that wait for this filter, and reports the refusal to its existing consumers.
    func failAndTell(_ filter: String, _ error: MQTTError) {
        let asking = subscribing.map(\.consumer)
        failSubscribing(to: filter, error)
        let others = subscriptions.consumers.filter { consumer in !asking.contains { $0 === consumer } }
        if others.contains(where: { $0.has(filter) }) { tellRefusal(of: filter, error, others) }
    }

    func failSubscribing(to filter: String, _ error: MQTTError) {
        for index in subscribing.indices where subscribing[index].isWaiting(for: [filter]) {
            subscribing[index].reasonCodes[filter] = error.reasonCode ?? .unspecifiedError
        }
        let concerned = subscribing.filter {
            $0.isWaiting(for: [filter]) && (!$0.acceptsRefusals || $0.isAnswered)
        }
        for operation in concerned {
            _ = takeOperation(of: operation.consumer)
            if operation.acceptsRefusals {
                complete(operation)
            } else {
                operation.continuation.resume(returning: .failure(error))
            }
        }
    }

    /// Subscribes, after a CONNACK, to the filters that the broker's session lacks.
    func restoreSubscriptions() {
        sendUnsubscribe()
        for operation in subscribing { subscriptions.expectAnswer(operation.consumer) }
        sendSubscribe(
            subscriptions.unconfirmed {
                !suspects.suspicion.isIsolating || !suspects.suspicion.contains(.subscription($0))
            })
        isolateFilters()
    }

    func subscribed(_ packetID: UInt16, _ codes: [UInt8], _ explanation: ReasonExplanation?) {
        noteAnswered(packetID)
        var finished: [SubscribeOperation] = []
        var filters: [String]?
        let asking = subscribing.map(\.consumer)
        for index in subscribing.indices.reversed() {
            guard let named = subscribing[index].packetIDs.removeValue(forKey: packetID) else { continue }
            filters = named
            for (position, filter) in named.enumerated() {
                let code = position < codes.count ? MQTTReasonCode(rawValue: codes[position]) : .unspecifiedError
                subscribing[index].reasonCodes[filter] = code
            }
            if let explanation { subscribing[index].explanation = explanation }
            if subscribing[index].isAnswered { finished.append(subscribing.remove(at: index)) }
        }
        let restored = restoring.removeValue(forKey: packetID)
        var granted: [String] = []
        for filter in filters ?? restored?.filters ?? [] { answered(.subscription(filter)) }
        for (filter, code) in zip(filters ?? restored?.filters ?? [], codes) {
            if code < 0x80 {
                subscriptions.confirm(filter)
                granted.append(filter)
                if refusedFilters.remove(filter) != nil {
                    for consumer in subscriptions.consumers { consumer.grant(filter) }
                }
            } else {
                var error = Self.refusal(of: filter, MQTTReasonCode(rawValue: code))
                error.explain(explanation)
                let others = subscriptions.consumers.filter { consumer in !asking.contains { $0 === consumer } }
                let isAwaited = filters != nil || !subscriptions.has(filter)
                subscriptions.revoke(filter)
                if !isAwaited || others.contains(where: { $0.has(filter) }) {
                    tellRefusal(of: filter, error, others)
                }
            }
        }
        for code in codes { noticeRefusal(MQTTReasonCode(rawValue: code)) }
        if let restored, !restored.isSilent, !granted.isEmpty { emit(.resubscribed(filters: granted)) }
        for operation in finished { complete(operation) }
        isolateFilters()
    }

    /// Starts a consumer before its SUBACK: it is full of messages that a resumed session delivers for its filters.
    /// Until they are read, the client reads nothing more, including the SUBACK. A later refusal is handled like one
    /// after a reconnect.
    func beginEarly(_ consumer: MessageBuffer) {
        guard let operation = takeOperation(of: consumer) else { return }
        let asked = consumer.subscriptions.map { MQTTReasonCode(rawValue: $0.qos.rawValue) }
        operation.continuation.resume(returning: .success(asked))
    }

    /// Removes and returns the operation of a waiting caller. The broker's answer then belongs to a SUBSCRIBE without a
    /// waiting caller.
    func takeOperation(of consumer: MessageBuffer) -> SubscribeOperation? {
        guard let index = subscribing.firstIndex(where: { $0.consumer === consumer }) else { return nil }
        let operation = subscribing.remove(at: index)
        for (packetID, filters) in operation.packetIDs
        where !subscribing.contains(where: { $0.packetIDs[packetID] != nil }) {
            restoring[packetID] = Restoration(filters: filters, isSilent: true)
        }
        return operation
    }

    private static func refusal(of filter: String, _ code: MQTTReasonCode) -> MQTTError {
        var error = MQTTError.operationRefused(
            code, "the broker refused the topic filter \(quoted(filter)): \(code)")
        error.refusedFilters = [MQTTTopicFilter(filter)]
        return error
    }

    /// Reports that the broker refuses a filter that it had granted. The refusal of a consumer's last filter ends its
    /// sequence.
    func tellRefusal(of filter: String, _ error: MQTTError, _ consumers: [MessageBuffer]) {
        emit(.subscriptionRefused(MQTTSubscriptionRefused(filter: MQTTTopicFilter(filter), error: error)))
        subscriptions.revoke(filter)
        refusedFilters.insert(filter)
        for consumer in consumers where consumer.has(filter) && consumer.refuse(filter, error) {
            drop(consumer, keepsFilters: configuration.session != .clean)
        }
    }

    private func complete(_ operation: SubscribeOperation) {
        let codes = operation.consumer.subscriptions.map {
            operation.reasonCodes[$0.filter.filter] ?? .unspecifiedError
        }
        guard let index = codes.firstIndex(where: \.isError) else {
            return operation.continuation.resume(returning: .success(codes))
        }
        if operation.acceptsRefusals, codes.contains(where: { !$0.isError }) {
            for (subscription, code) in zip(operation.consumer.subscriptions, codes) where code.isError {
                let filter = subscription.filter.filter
                subscriptions.refuse(filter)
                refusedFilters.insert(filter)
                _ = operation.consumer.refuse(filter, Self.refusal(of: filter, code))
            }
            return operation.continuation.resume(returning: .success(codes))
        }
        let filter = operation.consumer.subscriptions[index].filter.filter
        var error = Self.refusal(of: filter, codes[index])
        error.explain(operation.explanation)
        error.refusedFilters = zip(operation.consumer.subscriptions, codes).filter(\.1.isError).map(\.0.filter)
        operation.continuation.resume(returning: .failure(error))
    }

    /// Ends all subscriptions after the client has stopped.
    ///
    /// - Parameter isQuiet: true if waiting callers receive a sequence that has ended, instead of the error.
    func failSubscriptions(_ error: MQTTError, isQuiet: Bool) {
        for consumer in subscriptions.consumers { consumer.finish() }
        for operation in subscribing {
            operation.continuation.resume(returning: isQuiet ? .success([]) : .failure(error))
        }
        subscribing.removeAll()
    }
}
