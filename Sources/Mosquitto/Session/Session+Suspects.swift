import Logging

/// The operations that were under way when a broker ended a connection. Made again, one of them may end the next connection too:
/// ``Suspicion`` finds which, and that one fails while the others go on.
extension Session {
    /// Looks for the operation over which the broker has ended an established connection. Returns true if there is a suspect.
    func accuse(_ error: MQTTError, hasExpired: Bool) -> Bool {
        switch machine.state {
        case .connected, .draining(.rotation): break
        default: return false
        }
        if let code = error.reasonCode, giveUpSuspects(code) { return true }
        guard error.mayConcernOperation, !hasExpired, !machine.isReauthenticating else { return false }
        let unanswered = unansweredOperations(now: .now)
        halveFilters(now: .now)
        if looksCut(error) { suspicion.acquit() }
        let convicted = suspicion.ended(
            unanswered, sent: sentExtent(of: unanswered, error, now: .now), isWordless: error.reasonCode == nil)
        for operation in convicted { giveUp(operation, error) }
        // The reason is known: what comes next is no repetition of it.
        if !convicted.isEmpty { machine.decider.reset() }
        return !unanswered.isEmpty
    }

    /// Whether the network is the likely reason of an end without a word: it came within a packet, or the broker had gone on sending
    /// for long after the last operation. A broker that objects closes when it has read the packet.
    private func looksCut(_ error: MQTTError) -> Bool {
        guard let connection, error.reasonCode == nil else { return false }
        return connection.isInMidPacket || connection.receivedBytes - receivedBeforeOperation > Self.afterthought
    }

    private static let largePayload = 1_024

    /// Bytes that may come between an operation and the close that it causes.
    private static let afterthought = 4_096

    /// A broker that names a reason has read enough. Of a large packet a network may have lost the rest: it is as one that was not
    /// sent whole.
    private func sentExtent(
        of unanswered: [Suspicion.Operation], _ error: MQTTError, now: ContinuousClock.Instant
    ) -> Suspicion.Extent {
        if error.reasonCode != nil { return .whole }
        if looksCut(error) { return .delayed }
        if isSent {
            guard unanswered.count == 1, case .publish(let identity)? = unanswered.first else { return .whole }
            return identity.publish.payload.count > Self.largePayload ? .begun : .whole
        }
        return beganSending.map { now - $0 < .seconds(2) } ?? false ? .begun : .delayed
    }

    /// Lists the operations that were sent on this connection, and not long ago: filters, then publishes in their order.
    private func unansweredOperations(now: ContinuousClock.Instant) -> [Suspicion.Operation] {
        func isRecent(_ packetID: UInt16) -> Bool { sentAt[packetID].map { now - $0 < Suspicion.patience } ?? false }
        var subscriptions: [UInt16: [String]] = restoring.mapValues(\.filters)
        for operation in subscribing { subscriptions.merge(operation.packetIDs) { first, _ in first } }
        var operations: [Suspicion.Operation] = []
        for packetID in subscriptions.keys.filter(isRecent).sorted() {
            operations += (subscriptions[packetID] ?? []).map { .subscription($0) }
        }
        for packetID in unanswered.keys.filter(isRecent).sorted() {
            operations += (unanswered[packetID] ?? []).map { .unsubscription($0) }
        }
        let unsent = Set(unsentAgain)
        for packetID in inFlight.packetIDs where !unsent.contains(packetID) {
            guard let publish = inFlight[packetID], publish.received == nil, publish.sequence > oldSequences.older
            else { continue }
            operations.append(.publish(publish))
        }
        return operations
    }

    // MARK: Verdicts

    private func giveUp(_ operation: Suspicion.Operation, _ error: MQTTError) {
        switch operation {
        case .publish(let identity):
            let publish = identity.publish
            guard let packetID = inFlight.packetIDs.first(where: { inFlight[$0] === publish }) else { return }
            _ = inFlight.remove(packetID)
            // The broker may hold it as QoS 2, and would take another publish with its identifier for the same.
            if configuration.session != .clean { foreignPacketIDs.insert(packetID) }
            refuse(publish, .endsConnection("the publish to \(quoted(publish.topic))", error))
        case .subscription(let filter):
            giveUp(filter: filter, .endsConnection("the subscription to \(quoted(filter))", error, filter))
        case .unsubscription(let filter):
            let error = MQTTError.endsConnection("the end of the subscription to \(quoted(filter))", error, filter)
            logger.error(
                "an UNSUBSCRIBE is not sent again", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
            unanswered = unanswered.mapValues { $0.filter { $0 != filter } }
            failUnsubscribing(from: filter, error)
        }
    }

    /// A filter is not subscribed to again, unless another consumer asks for it: who waits for its SUBACK gets this error.
    func giveUp(filter: String, _ error: MQTTError) {
        subscriptions.refuse(filter)
        logger.error(
            "a topic filter is not subscribed to again", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        failAndTell(filter, error)
    }

    // MARK: Isolation

    /// A connection is established: suspects are kept apart on it.
    func beginIsolation() {
        suspicion.connected()
        oldSequences = (0, 0)
        lastSequence = 0
        watchIsolation()
    }

    /// The broker has answered a suspect, or one of the others.
    func answered(_ operation: @autoclosure () -> Suspicion.Operation) {
        if suspicion.isEmpty { return }
        suspicion.answered(operation())
        watchIsolation()
    }

    /// True while suspected publishes wait for the answers to filters.
    private var isolatesFilters: Bool {
        if case .connected = machine.state { return suspicion.hasFilters || !sentAt.isEmpty }
        return false
    }

    /// The number of publishes that suspicion lets be in flight.
    var isolationWindow: Int { !suspicion.isIsolating ? .max : isolatesFilters ? 0 : suspicion.allowed }

    /// True if suspicion lets the next publish be sent now: a suspect in its turn, any other after all suspects.
    func isUnsuspected(_ publish: OutgoingPublish) -> Bool {
        guard suspicion.isIsolating else { return true }
        if isolatesFilters { return false }
        let sent = inFlight.count - unsentAgain.count
        if suspicion.contains(.publish(publish)) { return sent < suspicion.allowed }
        // One that was put back, and is older than the suspects: alone.
        return inFlight.isEmpty
    }

    /// True if a publish that was never sent before may be sent now.
    func mayFollowSuspects() -> Bool {
        guard suspicion.isIsolating else { return true }
        guard !isolatesFilters, inFlight.isEmpty else { return false }
        // The suspects that are left were cancelled, or have expired.
        suspicion.forgetPublishes()
        return true
    }

    /// True if everything that was written on this connection has been handed to the system.
    private var isSent: Bool { connection?.hasUnsent != true }

    /// Asks for suspected filters, each in a packet of its own, when all packets before have been answered.
    func isolateFilters() {
        guard suspicion.isIsolating, suspicion.hasFilters, sentAt.isEmpty, case .connected = machine.state else {
            return
        }
        let dropped = subscriptions.takeAbandoned(suspicion.allowed) { suspicion.contains(.unsubscription($0)) }
        if !dropped.isEmpty {
            for filter in dropped { sendUnsubscribe([filter]) }
            return
        }
        let groups = subscriptions.unconfirmed { suspicion.contains(.subscription($0)) }
        let single = groups.flatMap { $0.parts(of: 1) }.prefix(suspicion.allowed)
        if single.isEmpty { return suspicion.forgetFilters() }
        sendSubscribe(Array(single))
    }

    private func watchIsolation() {
        if let isolationTimer { loop.cancelTimer(isolationTimer) }
        isolationTimer = nil
        guard suspicion.isIsolating else { return }
        isolationTimer = loop.setTimer(after: Suspicion.patience) { [weak self] in
            self?.assumeIsolated { $0.endIsolation() }
        }
    }

    /// A suspect has no answer, and the connection has not ended over it: the others do not wait any longer.
    private func endIsolation() {
        isolationTimer = nil
        suspicion.release()
        guard case .connected = machine.state else { return needsFlush() }
        let asked = Set(subscribing.flatMap(\.packetIDs.values).joined()).union(restoring.values.flatMap(\.filters))
        sendUnsubscribe()
        sendSubscribe(subscriptions.unconfirmed { !asked.contains($0) })
        needsFlush()
    }

    // MARK: Age

    /// Notes from time to time what was sent by then. A publish that is unanswered for long is not why a connection ends.
    func watchAge() {
        guard ageTimer == nil, !inFlight.isEmpty else { return }
        ageTimer = loop.setLooseTimer(after: Suspicion.patience) { [weak self] in
            self?.assumeIsolated { session in
                session.ageTimer = nil
                session.oldSequences = (session.oldSequences.newer, session.lastSequence)
                session.watchAge()
            }
        }
    }

    /// The connection has ended.
    func cancelSuspectTimers() {
        for timer in [isolationTimer, ageTimer].compactMap({ $0 }) { loop.cancelTimer(timer) }
        isolationTimer = nil
        ageTimer = nil
    }
}

// MARK: - Reasons that a broker names

extension Session {
    /// Fails the operations that a DISCONNECT names beyond doubt. Returns true if there are any.
    private func giveUpSuspects(_ code: MQTTReasonCode) -> Bool {
        switch code {
        case .topicFilterInvalid: return giveUpSubscriptions(code, isOneOf: true) { _ in true }
        case .sharedSubscriptionsNotSupported: return giveUpSubscriptions(code) { $0.hasPrefix("$share/") }
        case .wildcardSubscriptionsNotSupported:
            return giveUpSubscriptions(code) { $0.contains("+") || $0.contains("#") }
        case .packetTooLarge:
            let largest = untakenPublishes.map(\.payload.count).max()
            return giveUpPublishes(code) { $0.payload.count == largest }
        case .payloadFormatInvalid: return giveUpPublishes(code, isOneOf: true) { $0.properties.payloadIsUTF8 == true }
        case .retainNotSupported: return giveUpPublishes(code) { $0.retain }
        case .qosNotSupported:
            let highest = untakenPublishes.map(\.qos.rawValue).max()
            return giveUpPublishes(code) { $0.qos.rawValue == highest }
        case .receiveMaximumExceeded, .messageRateTooHigh:
            // For good: the broker has said what it thinks of more.
            maximumInFlight = max(1, min(maximumInFlight, window) / 2)
            logger.notice("fewer messages in flight", metadata: ["mqtt.maximum_in_flight": "\(maximumInFlight)"])
            return false
        default: return false
        }
    }

    /// Not in a persistent session: the broker may have taken the publish, and would take another one with its packet identifier
    /// for the same. There it is sent again. `isOneOf`: of several the code does not tell which.
    private func giveUpPublishes(
        _ code: MQTTReasonCode, isOneOf: Bool = false, where isSuspect: (OutgoingPublish) -> Bool
    ) -> Bool {
        guard configuration.session == .clean, !isOneOf || untakenPublishes.count(where: isSuspect) == 1 else {
            return false
        }
        let suspects = inFlight.remove { $0.received == nil && isSuspect($0) }
        for publish in suspects { refuse(publish, .endedBy(code, "the publish")) }
        return !suspects.isEmpty
    }

    /// Publishes in flight that the broker has not taken over with PUBREC.
    private var untakenPublishes: [OutgoingPublish] { inFlight.all.filter { $0.received == nil } }

    private func giveUpSubscriptions(
        _ code: MQTTReasonCode, isOneOf: Bool = false, where isSuspect: (String) -> Bool
    ) -> Bool {
        let unanswered = subscribing.flatMap(\.packetIDs.values) + restoring.values.map(\.filters)
        let suspects = Set(unanswered.flatMap { $0 }).filter(isSuspect)
        if isOneOf, suspects.count > 1 { return false }
        for filter in suspects {
            var error = MQTTError.endedBy(code, "the subscription to \(quoted(filter))")
            error.refusedFilters = [MQTTTopicFilter(filter)]
            giveUp(filter: filter, error)
        }
        return !suspects.isEmpty
    }

    // MARK: Filters in a packet

    /// Some brokers close over a SUBSCRIBE or UNSUBSCRIBE with more filters than they take: then the next ones have fewer.
    private func halveFilters(now: ContinuousClock.Instant) {
        let packets = subscribing.flatMap { Array($0.packetIDs) } + restoring.map { ($0.key, $0.value.filters) }
        let recent = (packets + Array(unanswered)).filter { packet in
            sentAt[packet.0].map { now - $0 < .seconds(1) } ?? false
        }
        guard let most = recent.map(\.1.count).max(), most > 1 else { return }
        maximumFilters = max(1, min(maximumFilters, most) / 2)
        logger.notice("fewer filters in a packet", metadata: ["mqtt.maximum_filters": "\(maximumFilters)"])
    }
}

extension MQTTError {
    fileprivate static func endedBy(_ code: MQTTReasonCode, _ operation: String) -> MQTTError {
        .operationRefused(code, "the broker ended the connection, presumably over \(operation): \(code)")
    }

    /// The verdict on an operation, with the broker's last word on it.
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

    /// True if the broker can have ended the connection over an operation.
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
