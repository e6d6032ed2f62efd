// SPDX-License-Identifier: Apache-2.0

import Logging
import OrderedCollections

/// Unsubscribing: UNSUBSCRIBE and UNSUBACK. ``unsubscribe(where:)`` creates all packets that are due, whatever the
/// reason.
extension Subscriber {
    // MARK: Calls

    /// Removes a consumer whose scope has ended. In a clean session the client also unsubscribes, without waiting for
    /// the UNSUBACK. In a persistent session the filters are kept.
    mutating func remove(_ consumer: MessageBuffer) {
        table.remove(consumer, keepsFilters: configuration.keepsFilters)
    }

    /// Ends the subscription of a consumer, which still receives what the broker sends for its filters: a broker
    /// completes the deliveries that it has begun, and may continue with buffered ones (MQTT 5.0, section 3.10.4).
    ///
    /// The filters do not count as ended: if the consumer leaves early, further messages stay unacknowledged.
    mutating func withdraw(_ consumer: MessageBuffer, _ caller: WaiterID) {
        end(consumer, caller, notesEnd: false)
        consumer.becomeLocal()
        table.add(consumer)
    }

    /// Sends an UNSUBSCRIBE for filters of a withdrawn consumer once more.
    mutating func withdrawAgain(from filters: [String], _ caller: WaiterID) {
        unsubscribing.append(UnsubscribeOperation(caller: caller, filters: filters, open: Set(filters)))
        table.abandon(filters)
    }

    /// Ends the subscription of a consumer.
    ///
    /// - Parameters:
    ///   - caller: receives the broker's reason codes, in the order of the consumer's filters.
    ///   - notesEnd: true to discard messages that the broker still sends for the filters.
    mutating func end(_ consumer: MessageBuffer, _ caller: WaiterID, notesEnd: Bool = true) {
        let filters = consumer.subscriptions.map(\.filter.filter)
        let wasSubscribed = !consumer.isLocal && table.consumers.contains { $0 === consumer }
        let others = table.consumers.filter { $0 !== consumer && !$0.isLocal }
        let shared = Set(others.flatMap { $0.subscriptions.map(\.filter.filter) })
        // Filters of other consumers stay subscribed. After the end of a scope, only its kept filters remain to
        // unsubscribe from.
        let own = wasSubscribed ? Set(filters) : Set(table.kept.map(\.filter)).intersection(filters)
        let asked = consumer.isLocal ? [] : own.subtracting(shared)
        // The broker has no subscription for a refused filter: no UNSUBSCRIBE is sent, and no answer arrives.
        let refused = asked.filter(table.isRevoked)
        let open = asked.subtracting(refused)
        var operation = UnsubscribeOperation(caller: caller, filters: filters, open: open)
        for filter in refused { operation.reasonCodes[filter] = .noSubscriptionExisted }
        unsubscribing.append(operation)
        table.remove(consumer)
        if !wasSubscribed { table.abandon(Array(open), includingKept: true) }
        if notesEnd { noteEnded(open) }
    }

    /// Ends the subscriptions to filters without a consumer.
    mutating func end(_ filters: [String], _ caller: WaiterID) {
        unsubscribing.append(UnsubscribeOperation(caller: caller, filters: filters, open: Set(filters)))
        table.abandon(filters, includingKept: true)
        noteEnded(filters)
    }

    /// Returns the first of these filters that has a consumer.
    func firstWanted(of filters: [String]) -> String? {
        let wanted = table.wanted
        return filters.first(where: wanted.contains)
    }

    /// Resumes calls that have nothing to wait for: without a connection, a clean session has nothing to unsubscribe
    /// from.
    mutating func finishCalls(isConnected: Bool) -> [Action] {
        isConnected || configuration.keepsFilters ? finishUnsubscribing() : sessionForgotten()
    }

    /// Ends the wait of a caller. The UNSUBSCRIBE is sent nevertheless.
    mutating func cancelUnsubscribing(_ caller: WaiterID, _ error: MQTTError) -> [Action] {
        guard let index = unsubscribing.firstIndex(where: { $0.caller == caller }) else { return [] }
        unsubscribing.remove(at: index)
        return [.resume(caller, .failure(error))]
    }

    /// Gives up an UNSUBSCRIBE that makes the broker close connections.
    mutating func giveUp(endOf filter: String, _ error: MQTTError) -> [Action] {
        logger.error(
            "an UNSUBSCRIBE is not sent again", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        unanswered = unanswered.mapValues { $0.filter { $0 != filter } }
        let concerned = unsubscribing.filter { $0.open.contains(filter) }
        unsubscribing.removeAll { $0.open.contains(filter) }
        return concerned.map { .resume($0.caller, .failure(error)) }
    }

    /// Fails all waiting calls after the client has stopped.
    mutating func failUnsubscribing(_ error: MQTTError) -> [Action] {
        defer { unsubscribing.removeAll() }
        return unsubscribing.map { .resume($0.caller, .failure(error)) }
    }

    // MARK: UNSUBSCRIBE

    /// Creates the UNSUBSCRIBE packets that are due.
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

    /// Creates a separate packet for each of at most `maximum` filters that are due.
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
                // A filter that cannot be sent must not keep the others from being sent.
                for filter in filters { unsubscribe(from: [filter], &actions) }
                return
            }
            logger.error("an UNSUBSCRIBE could not be sent", metadata: ["error": "\(error)"])
            unsubscribed(filters[0], .unspecifiedError)
            actions += finishUnsubscribing()
        }
    }

    // MARK: UNSUBACK

    /// Handles an UNSUBACK, which has no reason codes in MQTT 3.1.1.
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

    /// Resumes callers that unsubscribe from a filter which was subscribed to again, unless its UNSUBACK is pending.
    mutating func keepSubscribed(_ filters: [String]) -> [Action] {
        guard !unsubscribing.isEmpty else { return [] }
        let wanted = table.wanted.subtracting(unanswered.values.joined())
        for filter in filters where wanted.contains(filter) { unsubscribed(filter, .success) }
        return finishUnsubscribing()
    }

    // MARK: Ended filters

    /// Records that filters were unsubscribed: in a persistent session, their remaining messages are not for a later
    /// consumer.
    private mutating func noteEnded(_ filters: some Sequence<String>) {
        guard configuration.keepsFilters else { return }
        for filter in filters { endedFilters.append(MQTTTopicFilter(filter)) }
        // The list matters only while the broker sends messages in flight.
        if endedFilters.count > 1_000 { endedFilters.removeFirst(endedFilters.count - 1_000) }
    }

    /// Returns true if a topic matches an unsubscribed filter, and no kept one.
    func isEnded(_ topic: String) -> Bool {
        !endedFilters.isEmpty && endedFilters.contains { $0.matches(topic) }
            && !table.kept.contains { $0.matches(topic) }
    }
}
