import Logging
import OrderedCollections

/// The end of subscriptions: UNSUBSCRIBE and UNSUBACK. ``unsubscribe(where:)`` makes the packets that are due, whatever made
/// them due.
extension Subscriber {
    // MARK: Calls

    /// Removes a consumer whose scope is over. In a clean session its filters end too, and nobody waits for the UNSUBACK. In a
    /// persistent one they are kept.
    mutating func remove(_ consumer: MessageBuffer) {
        table.remove(consumer, keepsFilters: configuration.keepsFilters)
    }

    /// Ends the subscription of a consumer.
    ///
    /// - Parameter caller: gets the broker's reason codes, in the order of the consumer's filters.
    mutating func end(_ consumer: MessageBuffer, _ caller: WaiterID) {
        let filters = consumer.subscriptions.map(\.filter.filter)
        let wasSubscribed = !consumer.isLocal && table.consumers.contains { $0 === consumer }
        let others = table.consumers.filter { $0 !== consumer && !$0.isLocal }
        let shared = Set(others.flatMap { $0.subscriptions.map(\.filter.filter) })
        // What another consumer still wants, the broker is not asked to drop. Of a scope that has ended, the kept ones are left.
        let own = wasSubscribed ? Set(filters) : Set(table.kept.map(\.filter)).intersection(filters)
        let asked = consumer.isLocal ? [] : own.subtracting(shared)
        // The broker does not have what it has refused: no UNSUBSCRIBE is sent, and no answer comes.
        let refused = asked.filter(table.isRevoked)
        let open = asked.subtracting(refused)
        var operation = UnsubscribeOperation(caller: caller, filters: filters, open: open)
        for filter in refused { operation.reasonCodes[filter] = .noSubscriptionExisted }
        unsubscribing.append(operation)
        table.remove(consumer)
        if !wasSubscribed { table.abandon(Array(open), includingKept: true) }
        noteEnded(open)
    }

    /// Ends filters that no consumer has.
    mutating func end(_ filters: [String], _ caller: WaiterID) {
        unsubscribing.append(UnsubscribeOperation(caller: caller, filters: filters, open: Set(filters)))
        table.abandon(filters, includingKept: true)
        noteEnded(filters)
    }

    /// Returns the first of these filters that a consumer has.
    func firstWanted(of filters: [String]) -> String? {
        let wanted = table.wanted
        return filters.first(where: wanted.contains)
    }

    /// Resumes calls for which there is nothing to wait: without a connection, a clean session has nothing to unsubscribe from.
    mutating func finishCalls(isConnected: Bool) -> [Action] {
        isConnected || configuration.keepsFilters ? finishUnsubscribing() : sessionForgotten()
    }

    /// Ends the wait of a caller. The UNSUBSCRIBE is sent all the same.
    mutating func cancelUnsubscribing(_ caller: WaiterID, _ error: MQTTError) -> [Action] {
        guard let index = unsubscribing.firstIndex(where: { $0.caller == caller }) else { return [] }
        unsubscribing.remove(at: index)
        return [.resume(caller, .failure(error))]
    }

    /// The broker ends connections over the end of this filter.
    mutating func giveUp(endOf filter: String, _ error: MQTTError) -> [Action] {
        logger.error(
            "an UNSUBSCRIBE is not sent again", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        unanswered = unanswered.mapValues { $0.filter { $0 != filter } }
        let concerned = unsubscribing.filter { $0.open.contains(filter) }
        unsubscribing.removeAll { $0.open.contains(filter) }
        return concerned.map { .resume($0.caller, .failure(error)) }
    }

    /// The client has ended.
    mutating func failUnsubscribing(_ error: MQTTError) -> [Action] {
        defer { unsubscribing.removeAll() }
        return unsubscribing.map { .resume($0.caller, .failure(error)) }
    }

    // MARK: UNSUBSCRIBE

    /// Makes the UNSUBSCRIBE packets that are due.
    ///
    /// - Parameter isWanted: false for a filter whose turn comes later.
    mutating func unsubscribe(where isWanted: (String) -> Bool = { _ in true }) -> [Action] {
        let filters = table.takeAbandoned(where: isWanted)
        var actions: [Action] = []
        for start in stride(from: 0, to: filters.count, by: maximumFilters) {
            unsubscribe(from: Array(filters[start..<min(start + maximumFilters, filters.count)]), &actions)
        }
        return actions
    }

    /// Makes a packet for each of so many filters that are due.
    mutating func unsubscribeOneByOne(_ maximum: Int, where isWanted: (String) -> Bool) -> [Action] {
        var actions: [Action] = []
        for filter in table.takeAbandoned(maximum, where: isWanted) { unsubscribe(from: [filter], &actions) }
        return actions
    }

    private mutating func unsubscribe(
        from filters: [String], _ actions: inout [Action]
    ) {
        do throws(MQTTError) {
            let (packet, packetID) = try makePacket("UNSUBSCRIBE") { packetID, version in
                PacketEncoder.unsubscribe(filters, packetID, version)
            }
            actions.append(.send(packet, packetID))
            unanswered[packetID] = filters
            for filter in filters {
                logger.trace(
                    "Client \(configuration.clientID) sending UNSUBSCRIBE (Mid: \(packetID), Topic: \(filter))")
            }
        } catch {
            guard filters.count == 1 else {
                // One that cannot be sent must not keep the others from the broker.
                for filter in filters { unsubscribe(from: [filter], &actions) }
                return
            }
            logger.error("an UNSUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
            unsubscribed(filters[0], .unspecifiedError)
            actions += finishUnsubscribing()
        }
    }

    // MARK: UNSUBACK

    /// An UNSUBACK. One of MQTT 3.1.1 has no reason codes.
    mutating func unsubscribed(_ packetID: UInt16, _ codes: [UInt8]) -> [Action] {
        guard let filters = unanswered.removeValue(forKey: packetID) else { return [] }
        identifiers.free(packetID)
        for (index, filter) in filters.enumerated() {
            let code = index < codes.count ? MQTTReasonCode(rawValue: codes[index]) : .success
            unsubscribed(filter, code)
            if code.isError {
                endedFilters.remove(MQTTTopicFilter(filter))
                logger.warning(
                    "the broker refused to end a subscription",
                    metadata: ["mqtt.filter": "\(filter)", "mqtt.reason_code": "\(code)"])
            }
        }
        return filters.map { .answered(.unsubscription($0)) } + finishUnsubscribing()
    }

    private mutating func unsubscribed(_ filter: String, _ code: MQTTReasonCode) {
        for index in unsubscribing.indices where unsubscribing[index].open.remove(filter) != nil {
            unsubscribing[index].reasonCodes[filter] = code
        }
    }

    mutating func finishUnsubscribing() -> [Action] {
        if unsubscribing.isEmpty { return [] }
        let finished = unsubscribing.filter(\.open.isEmpty)
        unsubscribing.removeAll(where: \.open.isEmpty)
        return finished.map { operation in
            .resume(operation.caller, .success(operation.filters.map { operation.reasonCodes[$0] ?? .success }))
        }
    }

    /// Resumes callers unsubscribing from a filter that has been subscribed to again, unless an UNSUBACK is pending.
    mutating func keepSubscribed(_ filters: [String]) -> [Action] {
        guard !unsubscribing.isEmpty else { return [] }
        let wanted = table.wanted.subtracting(unanswered.values.joined())
        for filter in filters where wanted.contains(filter) { unsubscribed(filter, .success) }
        return finishUnsubscribing()
    }

    // MARK: Filters that were ended

    /// Notes that somebody has ended these: what comes for them still is not for a later consumer of a persistent session.
    private mutating func noteEnded(_ filters: some Sequence<String>) {
        guard configuration.keepsFilters else { return }
        for filter in filters { endedFilters.append(MQTTTopicFilter(filter)) }
        // They matter while the broker sends what it had under way.
        if endedFilters.count > 1_000 { endedFilters.removeFirst(endedFilters.count - 1_000) }
    }

    /// Returns true for the topic of a filter that was ended, and of none that is kept.
    func isEnded(_ topic: String) -> Bool {
        !endedFilters.isEmpty && endedFilters.contains { $0.matches(topic) }
            && !table.kept.contains { $0.matches(topic) }
    }
}
