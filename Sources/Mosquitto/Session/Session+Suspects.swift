// SPDX-License-Identifier: Apache-2.0

import Logging

/// Search for the operation that makes a broker close connections. Unanswered operations are repeated, and one of them
/// may cause the next close too: ``Suspicion`` finds it, and it fails while the others continue.
extension Session {
    /// Searches for the operation that made the broker close an established connection. Returns true if there is a
    /// suspect.
    func accuse(_ error: MQTTError, hasExpired: Bool) -> Bool {
        switch machine.state {
        case .connected, .draining(.rotation): break
        default: return false
        }
        if let code = error.reasonCode, giveUpSuspects(code) { return true }
        guard error.mayConcernOperation, !hasExpired, !machine.isReauthenticating else { return false }
        halveFilters(now: .now)
        let end = Suspects.End(
            error: error, received: connection?.receivedBytes ?? 0, isInMidPacket: connection?.isInMidPacket ?? false,
            isSent: connection?.hasUnsent != true)
        let unanswered = Suspects.Unanswered(
            subscriptions: subscriber.unansweredSubscribes, unsubscriptions: subscriber.unanswered,
            publishes: publisher.unanswered(after: suspects.oldSequence))
        let (suspected, convicted) = suspects.ended(end, unanswered, now: .now)
        for operation in convicted { giveUp(operation, error) }
        // The cause is known: the next failure is not a repetition of this one.
        if !convicted.isEmpty { machine.decider.reset() }
        return !suspected.isEmpty
    }

    // MARK: Verdicts

    private func giveUp(_ operation: Suspicion.Operation, _ error: MQTTError) {
        switch operation {
        case .publish(let identity):
            let publish = identity.publish
            publisher.convict(publish, .endsConnection("the publish to \(quoted(publish.topic))", error))
        case .subscription(let filter):
            let error = MQTTError.endsConnection("the subscription to \(quoted(filter))", error, filter)
            carryOut(subscriber.giveUp(filter: filter, error))
            sendUnsubscribe()
        case .unsubscription(let filter):
            let error = MQTTError.endsConnection("the end of the subscription to \(quoted(filter))", error, filter)
            carryOut(subscriber.giveUp(endOf: filter, error))
        }
    }

    // MARK: Isolation

    /// Begins the isolation of suspects on a new connection.
    func beginIsolation() {
        suspects.connected()
        watchIsolation()
    }

    /// Records that the broker has answered a suspect or another operation.
    func answered(_ operation: @autoclosure () -> Suspicion.Operation) {
        if suspects.answered(operation()) { watchIsolation() }
    }

    /// Subscribes to suspected filters, each in a separate packet, when all packets before were answered.
    func isolateFilters() {
        guard suspects.mayAskForFilters, isConnectionKept else { return }
        let suspicion = suspects.suspicion
        let ends = subscriber.unsubscribeOneByOne(suspicion.allowed) { suspicion.contains(.unsubscription($0)) }
        if !ends.isEmpty { return carryOut(ends) }
        let actions = subscriber.askOneByOne(suspicion.allowed) { suspicion.contains(.subscription($0)) }
        if actions.isEmpty { return suspects.suspicion.forgetFilters() }
        carryOut(actions)
    }

    private func watchIsolation() {
        timers.cancel(.isolation)
        guard suspects.suspicion.isIsolating else { return }
        setTimer(.isolation, after: Suspicion.patience) { $0.endIsolation() }
    }

    /// Ends the isolation: a suspect is unanswered, and the connection is still up. The other operations wait no
    /// longer.
    private func endIsolation() {
        suspects.suspicion.release()
        guard case .connected = machine.state else { return needsFlush() }
        sendUnsubscribe()
        carryOut(subscriber.askForOthers())
        needsFlush()
    }

    // MARK: Age

    /// Records periodically which publishes were sent. A publish that is unanswered for long does not cause a close.
    func watchAge() {
        guard !timers.isRunning(.age), !publisher.inFlight.isEmpty else { return }
        setTimer(.age, after: Suspicion.patience, isLoose: true) { session in
            session.suspects.aged(lastSequence: session.publisher.lastSequence)
            session.watchAge()
        }
    }
}

// MARK: - Reasons that a broker names

extension Session {
    /// Fails the operations that a DISCONNECT identifies beyond doubt. Returns true if there are any.
    private func giveUpSuspects(_ code: MQTTReasonCode) -> Bool {
        switch code {
        case .topicFilterInvalid: return giveUpSubscriptions(code, isOneOf: true) { _ in true }
        case .sharedSubscriptionsNotSupported: return giveUpSubscriptions(code) { $0.hasPrefix("$share/") }
        case .wildcardSubscriptionsNotSupported:
            return giveUpSubscriptions(code) { $0.contains("+") || $0.contains("#") }
        case .packetTooLarge:
            let largest = publisher.notTakenOver.map(\.payload.count).max()
            return giveUpPublishes(code) { $0.payload.count == largest }
        case .payloadFormatInvalid: return giveUpPublishes(code, isOneOf: true) { $0.properties.payloadIsUTF8 == true }
        case .retainNotSupported: return giveUpPublishes(code) { $0.retain }
        case .qosNotSupported:
            let highest = publisher.notTakenOver.map(\.qos.rawValue).max()
            return giveUpPublishes(code) { $0.qos.rawValue == highest }
        case .receiveMaximumExceeded, .messageRateTooHigh:
            publisher.narrow()
            return false
        default: return false
        }
    }

    private func giveUpPublishes(
        _ code: MQTTReasonCode, isOneOf: Bool = false, where isSuspect: (OutgoingPublish) -> Bool
    ) -> Bool {
        publisher.convict(.endedBy(code, "the publish"), isOneOf: isOneOf, where: isSuspect)
    }

    private func giveUpSubscriptions(
        _ code: MQTTReasonCode, isOneOf: Bool = false, where isSuspect: (String) -> Bool
    ) -> Bool {
        let suspects = subscriber.askedFilters.filter(isSuspect)
        if isOneOf, suspects.count > 1 { return false }
        for filter in suspects {
            var error = MQTTError.endedBy(code, "the subscription to \(quoted(filter))")
            error.refusedFilters = [MQTTTopicFilter(filter)]
            carryOut(subscriber.giveUp(filter: filter, error))
            sendUnsubscribe()
        }
        return !suspects.isEmpty
    }

    // MARK: Filters in a packet

    /// Halves the number of filters in later packets: some brokers close the connection over a SUBSCRIBE or UNSUBSCRIBE
    /// with more filters than they accept.
    private func halveFilters(now: ContinuousClock.Instant) {
        let packets = subscriber.unansweredSubscribes.merging(subscriber.unanswered) { first, _ in first }
        subscriber.halveFilters(of: suspects.mostFilters(in: packets, now: now))
    }
}

extension MQTTError {
    fileprivate static func endedBy(_ code: MQTTReasonCode, _ operation: String) -> MQTTError {
        .operationRefused(code, "the broker ended the connection, presumably over \(operation): \(code)")
    }

    /// Returns the error for a convicted operation, with the broker's last reason.
    fileprivate static func endsConnection(
        _ operation: String, _ end: MQTTError, _ filter: String? = nil
    ) -> MQTTError {
        let word = end.reasonCode.map { ": \($0)" } ?? " without a word"
        var error = MQTTError(
            .endsConnection,
            "the broker ended one connection after another\(word), the last when nothing but \(operation) was under way; "
                + "it is not sent again",
            phase: .connected)
        error.reasonCode = end.reasonCode
        error.rawReasonCode = end.rawReasonCode
        error.reasonString = end.reasonString
        if let filter { error.refusedFilters = [MQTTTopicFilter(filter)] }
        return error
    }

    /// True if the broker may have closed the connection because of an operation.
    var mayConcernOperation: Bool {
        guard let reasonCode else { return isWordlessEnd }
        return Self.concerningOperations.contains(reasonCode)
    }

    private static let concerningOperations: Set<MQTTReasonCode> = [
        .unspecifiedError, .malformedPacket, .protocolError, .implementationSpecificError, .notAuthorized,
        .topicFilterInvalid, .topicNameInvalid, .packetTooLarge, .payloadFormatInvalid, .retainNotSupported,
        .qosNotSupported, .sharedSubscriptionsNotSupported, .subscriptionIdentifiersNotSupported,
        .wildcardSubscriptionsNotSupported,
    ]
}
