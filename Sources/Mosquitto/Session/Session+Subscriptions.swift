// SPDX-License-Identifier: Apache-2.0

import Logging

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Calls that begin and end subscriptions. ``Subscriber`` decides which packets to send; the session performs its
/// actions here.
extension Session {
    // MARK: Beginning

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
        if !consumer.isLocal, let platform = configuration.platform {
            do throws(MQTTError) {
                let filters = consumer.subscriptions.map(\.filter.filter)
                try platform.limits.check(filters: Set(filters).union(subscriber.table.filters).count)
            } catch {
                return .failure(error)
            }
        }
        return await withCheckedContinuation { continuation in
            if Task.isCancelled {
                return continuation.resume(returning: .failure(MQTTError(.cancelled, "the subscription was cancelled")))
            }
            let claimed = claim(for: consumer)
            subscriber.add(consumer)
            let isFull = consumer.append(claimed)
            if consumer.isLocal { return continuation.resume(returning: .success([])) }
            let caller = makeWaiterID()
            waiters.addForSubscription(caller, continuation)
            carryOut(
                subscriber.subscribe(
                    consumer, caller, acceptsRefusals: acceptsRefusals, isConnected: isConnectionKept))
            if isFull { carryOut(subscriber.beginEarly(consumer)) }
        }
    }

    private func cancelSubscribing(_ consumer: MessageBuffer) {
        let error = MQTTError(.cancelled, "the subscription was cancelled")
        carryOut(subscriber.endWait(for: consumer, .failure(error)))
    }

    // MARK: Ending

    /// Ends the scope of a subscription. Its last message is acknowledged only if the scope ended without an error.
    ///
    /// In a clean session the client also unsubscribes, without waiting for the UNSUBACK. In a persistent session the
    /// filters are kept.
    func endScope(of consumer: MessageBuffer, hasHandledLast: Bool) {
        let leftOver = consumer.finish(hasHandledLast: hasHandledLast)
        subscriber.remove(consumer)
        finishEnding()
        putBack(leftOver)
    }

    /// Ends the sequence of a subscription whose task is shut down gracefully, after the messages already received. A
    /// consumer that waits for the broker's answer starts with the messages it has.
    func retire(_ consumer: MessageBuffer) {
        consumer.finish()
        carryOut(subscriber.endWait(for: consumer, .success([])))
        subscriber.remove(consumer)
        finishEnding()
    }

    /// Ends a subscription, and returns the broker's reason codes in the order of its filters.
    nonisolated func endSubscription(_ consumer: MessageBuffer) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { caller in await self.end(consumer, caller) }
    }

    /// Unsubscribes from filters that no subscription of this client uses.
    nonisolated func unsubscribe(from filters: [String]) async throws(MQTTError) -> [MQTTReasonCode] {
        try await awaitingUnsubscription { caller in await self.end(filters, caller) }
    }

    nonisolated func awaitingUnsubscription(
        _ body: (WaiterID) async -> Result<[MQTTReasonCode], MQTTError>
    ) async throws(MQTTError) -> [MQTTReasonCode] {
        let caller = await makeWaiterID()
        let outcome = await hearingShutdown {
            await withTaskCancellationHandler {
                await body(caller)
            } onCancel: {
                Task { await self.cancelUnsubscribing(caller, Self.unsubscribingCancelled) }
            }
        } end: {
            $0.cancelUnsubscribing(caller, Self.shuttingDown("the unsubscribe"))
        }
        return try outcome.get()
    }

    private func end(_ consumer: MessageBuffer, _ caller: WaiterID) async -> Result<[MQTTReasonCode], MQTTError> {
        consumer.finish()
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        return await withCheckedContinuation { continuation in
            waiters.addForSubscription(caller, continuation)
            subscriber.end(consumer, caller)
            unsubscribe(caller)
        }
    }

    private func end(_ filters: [String], _ caller: WaiterID) async -> Result<[MQTTReasonCode], MQTTError> {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        if let filter = subscriber.firstWanted(of: filters) {
            let advice = "end that subscription instead"
            return .failure(.invalid(.invalidTopicFilter, "a subscription has \(quoted(filter)); \(advice)"))
        }
        return await withCheckedContinuation { continuation in
            waiters.addForSubscription(caller, continuation)
            subscriber.end(filters, caller)
            unsubscribe(caller)
        }
    }

    func unsubscribe(_ caller: WaiterID) {
        // The task may have been cancelled before the operation was registered.
        if Task.isCancelled { cancelUnsubscribing(caller, Self.unsubscribingCancelled) }
        if Task.isShuttingDownGracefully, !hasConnection {
            cancelUnsubscribing(caller, Self.shuttingDown("the unsubscribe"))
        }
        watchIdle()
        inbox.discardEnded(subscriber)
        resendIfNeeded()
        finishEnding()
        carryOut(subscriber.finishCalls(isConnected: isConnectionKept))
    }

    /// Ends the wait of a call. The UNSUBSCRIBE is sent nevertheless.
    func cancelUnsubscribing(_ caller: WaiterID, _ error: MQTTError) {
        carryOut(subscriber.cancelUnsubscribing(caller, error))
    }

    private static var unsubscribingCancelled: MQTTError { MQTTError(.cancelled, "the call was cancelled") }

    private func finishEnding() {
        sendUnsubscribe()
        // A full consumer may have left.
        needsFlush()
    }

    // MARK: On the loop

    func carryOut(_ actions: [Subscriber.Action]) {
        if actions.isEmpty { return }
        for action in actions {
            switch action {
            case .send(let packet, let packetID):
                guard let connection else { continue }
                connection.write(packet)
                suspects.sent(packetID, received: connection.receivedBytes, now: .now)
            case .resume(let caller, let outcome): waiters.endSubscriptionWait(caller, outcome)
            case .answered(.subscription(let filter)): answered(.subscription(filter))
            case .answered(.unsubscription(let filter)): answered(.unsubscription(filter))
            case .denied(let code): noticeRefusal(code)
            case .resubscribed(let filters): emit(.resubscribed(filters: filters))
            case .refused(let filter, let error):
                emit(.subscriptionRefused(MQTTSubscriptionRefused(filter: filter, error: error)))
            }
        }
        needsFlush()
    }

    /// Sends the UNSUBSCRIBE packets that are due. ``isolateFilters()`` sends those of suspects.
    func sendUnsubscribe() {
        guard isConnectionKept else { return }
        carryOut(subscriber.unsubscribe { !suspects.suspicion.holdsBack(.unsubscription($0)) })
    }

    /// Subscribes, after a CONNACK, to the filters that the broker's session lacks.
    func restoreSubscriptions() {
        sendUnsubscribe()
        carryOut(subscriber.restore { !suspects.suspicion.holdsBack(.subscription($0)) })
        isolateFilters()
    }

    func subscribed(_ packetID: UInt16, _ codes: [UInt8], _ explanation: ReasonExplanation?) {
        suspects.answered(packetID)
        carryOut(subscriber.subscribed(packetID, codes, explanation))
        // A consumer whose filters are all refused leaves behind filters that no other consumer used.
        finishEnding()
        isolateFilters()
    }

    func unsubscribed(_ packetID: UInt16, _ codes: [UInt8]) {
        suspects.answered(packetID)
        carryOut(subscriber.unsubscribed(packetID, codes))
        isolateFilters()
    }

    /// Ends all subscriptions after the client has stopped.
    ///
    /// - Parameter isQuiet: true if waiting callers receive a sequence that has ended, instead of the error.
    func failSubscriptions(_ error: MQTTError, isQuiet: Bool) { carryOut(subscriber.fail(error, isQuiet: isQuiet)) }

    /// Records that the broker has no session: neither subscriptions, nor messages that wait for an acknowledgement.
    func sessionForgotten() {
        carryOut(subscriber.sessionForgotten())
        inbox.sessionForgotten()
    }
}

extension Subscriber.Configuration {
    init(_ configuration: MQTTClientConfiguration) {
        version = configuration.version
        clientID = configuration.effectiveClientID
        keepsFilters = configuration.session != .clean
        maximumFilters = configuration.receiving.maximumFiltersPerSubscribe
    }
}
