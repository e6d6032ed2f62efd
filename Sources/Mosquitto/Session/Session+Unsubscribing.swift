import Logging
import ServiceLifecycle

/// An UNSUBSCRIBE with a waiting caller.
struct UnsubscribeOperation {
    /// The identity of a call.
    final class Identity: Sendable {}

    let id: Identity
    let filters: [String]
    /// The filters whose UNSUBACK has not arrived yet.
    var open: Set<String>
    var reasonCodes: [String: MQTTReasonCode] = [:]
    let continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>
}

/// The end of subscriptions.
extension Session {
    /// Ends the scope of a subscription. Its last message is acknowledged only if the scope ended without an error.
    ///
    /// In a clean session the client also unsubscribes, without waiting for the UNSUBACK. In a persistent session the
    /// filters are kept.
    func endScope(of consumer: MessageBuffer, hasHandledLast: Bool) {
        let leftOver = consumer.finish(hasHandledLast: hasHandledLast)
        drop(consumer, keepsFilters: configuration.session != .clean)
        putBack(leftOver)
    }

    /// Ends the sequence of a subscription whose task is shut down gracefully, after the messages already received. A
    /// consumer that waits for the broker's answer starts with the messages it has.
    func retire(_ consumer: MessageBuffer) {
        consumer.finish()
        if let operation = takeOperation(of: consumer) { operation.continuation.resume(returning: .success([])) }
        drop(consumer, keepsFilters: configuration.session != .clean)
    }

    /// Ends a subscription, and returns the broker's reason codes in the order of its filters.
    nonisolated func endSubscription(_ consumer: MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { id in await self.end(consumer, id) }
    }

    /// Unsubscribes from filters that no subscription of this client uses.
    nonisolated func unsubscribe(from filters: [String]) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { id in await self.abandon(filters, id) }
    }

    private nonisolated func awaitingUnsubscription(
        _ body: (UnsubscribeOperation.Identity) async -> Result<[MQTTReasonCode], MQTTError>
    ) async throws(MQTTError) -> [MQTTReasonCode] {
        let id = UnsubscribeOperation.Identity()
        let outcome = await hearingShutdown {
            await withTaskCancellationHandler {
                await body(id)
            } onCancel: {
                Task { await self.cancelUnsubscribing(id, Self.unsubscribingCancelled) }
            }
        } end: {
            $0.cancelUnsubscribing(id, Self.shuttingDown("the unsubscribe"))
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
            // Filters of other consumers stay subscribed. After the end of a scope, only its kept filters remain to
            // unsubscribe from.
            let own = wasSubscribed ? Set(filters) : Set(subscriptions.kept.map(\.filter)).intersection(filters)
            let asked = consumer.isLocal ? [] : own.subtracting(shared)
            // The broker has no subscription for a refused filter: no UNSUBSCRIBE is sent, and no answer arrives.
            let refused = asked.filter(subscriptions.isRevoked)
            let open = asked.subtracting(refused)
            var operation = UnsubscribeOperation(id: id, filters: filters, open: open, continuation: continuation)
            for filter in refused { operation.reasonCodes[filter] = .noSubscriptionExisted }
            wait(operation)
            drop(consumer, keepsFilters: false)
            if !wasSubscribed { endKept(open) }
            if configuration.session != .clean { noteEnded(open) }
            answerWithoutSession()
        }
    }

    private func abandon(_ filters: [String], _ id: UnsubscribeOperation.Identity) async -> Result<
        [MQTTReasonCode], MQTTError
    > {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        let wanted = subscriptions.wanted
        if let filter = filters.first(where: wanted.contains) {
            let advice = "end that subscription instead"
            return .failure(.invalid(.invalidTopicFilter, "a subscription has \(quoted(filter)); \(advice)"))
        }
        return await withCheckedContinuation { continuation in
            wait(UnsubscribeOperation(id: id, filters: filters, open: Set(filters), continuation: continuation))
            endKept(filters)
            if configuration.session != .clean { noteEnded(filters) }
            answerWithoutSession()
        }
    }

    private func endKept(_ filters: some Sequence<String>) {
        subscriptions.abandon(Array(filters), includingKept: true)
        if case .connected = machine.state { sendUnsubscribe() }
    }

    private func wait(_ operation: UnsubscribeOperation) {
        unsubscribing.append(operation)
        // The task may have been cancelled before the operation was registered.
        if Task.isCancelled { cancelUnsubscribing(operation.id, Self.unsubscribingCancelled) }
        if Task.isShuttingDownGracefully, !hasConnection {
            cancelUnsubscribing(operation.id, Self.shuttingDown("the unsubscribe"))
        }
        watchIdle()
    }

    private func answerWithoutSession() {
        if case .connected = machine.state {} else if configuration.session == .clean { sessionForgotten() }
        finishUnsubscribing()
    }

    /// Ends the wait of a call. The UNSUBSCRIBE is sent nevertheless.
    private func cancelUnsubscribing(_ id: UnsubscribeOperation.Identity, _ error: MQTTError) {
        guard let index = unsubscribing.firstIndex(where: { $0.id === id }) else { return }
        let operation = unsubscribing.remove(at: index)
        operation.continuation.resume(returning: .failure(error))
    }

    private static var unsubscribingCancelled: MQTTError { MQTTError(.cancelled, "the call was cancelled") }

    func drop(_ consumer: MessageBuffer, keepsFilters: Bool) {
        subscriptions.remove(consumer, keepsFilters: keepsFilters)
        if case .connected = machine.state { sendUnsubscribe() }
        // A full consumer may have left.
        needsFlush()
    }

    /// Sends the UNSUBSCRIBE packets that are due. ``isolateFilters()`` sends those of suspects.
    func sendUnsubscribe() {
        let filters = subscriptions.takeAbandoned {
            !suspects.suspicion.isIsolating || !suspects.suspicion.contains(.unsubscription($0))
        }
        for start in stride(from: 0, to: filters.count, by: maximumFilters) {
            sendUnsubscribe(Array(filters[start..<min(start + maximumFilters, filters.count)]))
        }
    }

    func sendUnsubscribe(_ filters: [String]) {
        guard !filters.isEmpty, let connection else { return }
        do throws(MQTTError) {
            let packetID = try requirePacketID()
            let packet = PacketEncoder.unsubscribe(filters, packetID, configuration.version)
            try checkSize(of: packet, "the UNSUBSCRIBE")
            connection.write(packet)
            for filter in filters {
                logger.trace(
                    "Client \(configuration.effectiveClientID) sending UNSUBSCRIBE (Mid: \(packetID), Topic: \(filter))"
                )
            }
            unanswered[packetID] = filters
            noteSent(packetID, connection)
        } catch {
            // A filter that cannot be sent must not keep the others from being sent.
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

    /// Handles an UNSUBACK, which has no reason codes in MQTT 3.1.1.
    func unsubscribed(_ packetID: UInt16, _ codes: [UInt8]) {
        noteAnswered(packetID)
        guard let filters = unanswered.removeValue(forKey: packetID) else { return }
        for filter in filters { answered(.unsubscription(filter)) }
        for (index, filter) in filters.enumerated() {
            let code = index < codes.count ? MQTTReasonCode(rawValue: codes[index]) : .success
            unsubscribed(filter, code)
            if code.isError {
                noteWanted(MQTTTopicFilter(filter))
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

    /// Handles the end of the connection. In a session that the broker keeps, the subscriptions still exist.
    func connectionEndedUnsubscribing() {
        let filters = unanswered.values.flatMap { $0 }
        unanswered.removeAll()
        if filters.isEmpty { return }
        subscriptions.abandon(filters)
        keepSubscribed(filters)
    }

    /// Completes the calls that wait for the end of a filter which is subscribed to again: the filter stays, unless the
    /// broker is about to answer.
    func keepSubscribed(_ filters: [String]) {
        guard !unsubscribing.isEmpty else { return }
        let wanted = subscriptions.wanted.subtracting(unanswered.values.joined())
        for filter in filters where wanted.contains(filter) { unsubscribed(filter, .success) }
        finishUnsubscribing()
    }

    /// Records that the broker has no session, and thus no subscription.
    func sessionForgotten() {
        subscriptions.forgetSession()
        unclaimed.forgetReceipts()
        handling.removeAll()
        forgetEnded()
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
    /// Returns the reason code with which these properties rule a filter out, or `nil`.
    func objection(to filter: MQTTTopicFilter) -> MQTTReasonCode? {
        if filter.isShared, !sharedSubscriptionAvailable { return .sharedSubscriptionsNotSupported }
        if filter.hasWildcard, !wildcardSubscriptionAvailable { return .wildcardSubscriptionsNotSupported }
        return nil
    }
}
