import Logging

/// An UNSUBSCRIBE that a caller waits for.
struct UnsubscribeOperation {
    /// Tells a call from all others.
    final class Identity: Sendable {}

    let id: Identity
    let filters: [String]
    /// Those that the broker was asked to drop and has not answered yet.
    var open: Set<String>
    var reasonCodes: [String: MQTTReasonCode] = [:]
    let continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>
}

/// The end of subscriptions.
extension Session {
    /// The scope of a subscription ends. Nobody waits for the UNSUBACK. What it has not handled is acknowledged only if it has
    /// come to its end.
    func unsubscribe(_ consumer: MessageBuffer, hasHandledAll: Bool) {
        consumer.finish(hasHandledLast: hasHandledAll)
        drop(consumer)
    }

    /// Ends a subscription, and returns the broker's reason codes, in the order of its filters.
    nonisolated func endSubscription(_ consumer: MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { id in await self.end(consumer, id) }
    }

    /// Unsubscribes from what no subscription of this client has.
    nonisolated func unsubscribe(from filters: [String]) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { id in await self.abandon(filters, id) }
    }

    private nonisolated func awaitingUnsubscription(
        _ body: (UnsubscribeOperation.Identity) async -> Result<[MQTTReasonCode], MQTTError>
    ) async throws(MQTTError) -> [MQTTReasonCode] {
        let id = UnsubscribeOperation.Identity()
        let outcome = await withTaskCancellationHandler {
            await body(id)
        } onCancel: {
            Task { await self.cancelUnsubscribing(id) }
        }
        return try outcome.get()
    }

    private func end(_ consumer: MessageBuffer, _ id: UnsubscribeOperation.Identity) async -> Result<
        [MQTTReasonCode], MQTTError
    > {
        let filters = consumer.subscriptions.map(\.filter.filter)
        consumer.finish()
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        let wasSubscribed = !consumer.isLocal && subscriptions.consumers.contains { $0 === consumer }
        return await withCheckedContinuation { continuation in
            let others = subscriptions.consumers.filter { $0 !== consumer && !$0.isLocal }
            let shared = Set(others.flatMap { $0.subscriptions.map(\.filter.filter) })
            // What another consumer still wants, the broker is not asked to drop.
            let open = wasSubscribed ? Set(filters).subtracting(shared) : []
            wait(UnsubscribeOperation(id: id, filters: filters, open: open, continuation: continuation))
            drop(consumer)
            answerWithoutSession()
        }
    }

    private func abandon(_ filters: [String], _ id: UnsubscribeOperation.Identity) async -> Result<
        [MQTTReasonCode], MQTTError
    > {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        let wanted = Set(subscriptions.filters)
        if let filter = filters.first(where: wanted.contains) {
            let advice = "end that subscription instead"
            return .failure(.invalid(.invalidTopicFilter, "a subscription has \(quoted(filter)); \(advice)"))
        }
        return await withCheckedContinuation { continuation in
            wait(UnsubscribeOperation(id: id, filters: filters, open: Set(filters), continuation: continuation))
            subscriptions.abandon(filters)
            if case .connected = machine.state { sendUnsubscribe() }
            answerWithoutSession()
        }
    }

    private func wait(_ operation: UnsubscribeOperation) {
        unsubscribing.append(operation)
        // Cancelled before it was there to be found.
        if Task.isCancelled { cancelUnsubscribing(operation.id) }
    }

    private func answerWithoutSession() {
        if case .connected = machine.state {} else if configuration.session == .clean { sessionForgotten() }
        finishUnsubscribing()
    }

    /// The UNSUBSCRIBE is sent all the same.
    private func cancelUnsubscribing(_ id: UnsubscribeOperation.Identity) {
        guard let index = unsubscribing.firstIndex(where: { $0.id === id }) else { return }
        let operation = unsubscribing.remove(at: index)
        operation.continuation.resume(returning: .failure(MQTTError(.cancelled, "the call was cancelled")))
    }

    private func drop(_ consumer: MessageBuffer) {
        subscriptions.remove(consumer)
        // What still comes for it is not for a later consumer.
        for message in unclaimed.claim(for: consumer) { message.receipt?.settle(isHandled: false) }
        if case .connected = machine.state { sendUnsubscribe() }
        resumeReading()
    }

    /// Sends the UNSUBSCRIBE packets that are due. Suspects have their turns in ``isolateFilters()``.
    func sendUnsubscribe() {
        let filters = subscriptions.takeAbandoned {
            !suspicion.isIsolating || !suspicion.contains(.unsubscription($0))
        }
        for start in stride(from: 0, to: filters.count, by: maximumFilters) {
            sendUnsubscribe(Array(filters[start..<min(start + maximumFilters, filters.count)]))
        }
    }

    func sendUnsubscribe(_ filters: [String]) {
        guard !filters.isEmpty, let connection else { return }
        do throws(MQTTError) {
            let packetID = try requirePacketID()
            let packet = SubscriptionPackets.unsubscribe(filters, packetID, configuration.version)
            try checkSize(of: packet, "the UNSUBSCRIBE")
            connection.write(packet)
            for filter in filters {
                logger.trace(
                    "Client \(configuration.clientID) sending UNSUBSCRIBE (Mid: \(packetID), Topic: \(filter))")
            }
            unanswered[packetID] = filters
            isSent = false
            sentAt[packetID] = .now
        } catch {
            // One that cannot be sent must not keep the others from the broker.
            if filters.count > 1 {
                for filter in filters { sendUnsubscribe([filter]) }
                return
            }
            logger.error("an UNSUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
            for filter in filters { unsubscribed(filter, .unspecifiedError) }
            finishUnsubscribing()
        }
        needsFlush()
    }

    /// An UNSUBACK. One of MQTT 3.1.1 has no reason codes.
    func unsubscribed(_ packetID: UInt16, _ codes: [UInt8], _ explanation: Explanation) {
        sentAt[packetID] = nil
        guard let filters = unanswered.removeValue(forKey: packetID) else { return }
        for filter in filters { answered(.unsubscription(filter)) }
        for (index, filter) in filters.enumerated() {
            let code = index < codes.count ? MQTTReasonCode(rawValue: codes[index]) : .success
            unsubscribed(filter, code)
            if code.isError {
                logger.warning(
                    "the broker refused to end a subscription",
                    metadata: ["mqtt.filter": "\(filter)", "mqtt.reason_code": "\(code)"])
            }
        }
        finishUnsubscribing()
        isolateFilters()
    }

    private func unsubscribed(_ filter: String, _ code: MQTTReasonCode) {
        for index in unsubscribing.indices where unsubscribing[index].open.remove(filter) != nil {
            unsubscribing[index].reasonCodes[filter] = code
        }
    }

    private func finishUnsubscribing() {
        let finished = unsubscribing.filter(\.open.isEmpty)
        unsubscribing.removeAll(where: \.open.isEmpty)
        for operation in finished {
            let codes = operation.filters.map { operation.reasonCodes[$0] ?? .success }
            operation.continuation.resume(returning: .success(codes))
        }
    }

    /// The connection is gone. A session that the broker keeps has the subscriptions still.
    func connectionEndedUnsubscribing() {
        let filters = unanswered.values.flatMap { $0 }
        unanswered.removeAll()
        if filters.isEmpty { return }
        subscriptions.abandon(filters)
        keepSubscribed(filters)
    }

    /// Who waits for the end of a filter that is wanted again is told that it stays, unless the broker is about to answer.
    func keepSubscribed(_ filters: [String]) {
        guard !unsubscribing.isEmpty else { return }
        let wanted = Set(subscriptions.filters).subtracting(unanswered.values.joined())
        for filter in filters where wanted.contains(filter) { unsubscribed(filter, .success) }
        finishUnsubscribing()
    }

    /// The broker has no session, and no subscription in it.
    func sessionForgotten() {
        subscriptions.forgetSession()
        burnedPacketIDs.removeAll()
        unanswered.removeAll()
        for index in unsubscribing.indices {
            for filter in unsubscribing[index].open {
                unsubscribing[index].reasonCodes[filter] = .noSubscriptionExisted
            }
            unsubscribing[index].open.removeAll()
        }
        finishUnsubscribing()
    }

    /// Fails the calls that wait for the end of this filter.
    func failUnsubscribing(from filter: String, _ error: MQTTError) {
        let concerned = unsubscribing.filter { $0.open.contains(filter) }
        unsubscribing.removeAll { $0.open.contains(filter) }
        for operation in concerned { operation.continuation.resume(returning: .failure(error)) }
    }

    func failUnsubscribing(_ error: MQTTError) {
        for operation in unsubscribing { operation.continuation.resume(returning: .failure(error)) }
        unsubscribing.removeAll()
    }
}

extension MQTTConnackProperties {
    /// What rules a filter out.
    func objection(to filter: MQTTTopicFilter) -> MQTTReasonCode? {
        if filter.isShared, !sharedSubscriptionAvailable { return .sharedSubscriptionsNotSupported }
        if filter.hasWildcard, !wildcardSubscriptionAvailable { return .wildcardSubscriptionsNotSupported }
        return nil
    }
}
