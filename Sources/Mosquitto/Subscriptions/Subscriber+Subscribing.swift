// SPDX-License-Identifier: Apache-2.0

import Logging
import OrderedCollections

/// Subscribing: SUBSCRIBE and SUBACK.
extension Subscriber {
    // MARK: Calls

    /// Adds a consumer, which receives messages from now on.
    mutating func add(_ consumer: MessageBuffer) {
        table.add(consumer)
        for subscription in consumer.subscriptions { endedFilters.remove(subscription.filter) }
    }

    /// Subscribes to the filters of an added consumer. The caller waits until the broker grants them.
    ///
    /// - Parameters:
    ///   - acceptsRefusals: true to succeed if the broker grants only some of the filters.
    ///   - isConnected: false to subscribe on the next connection.
    mutating func subscribe(
        _ consumer: MessageBuffer, _ caller: WaiterID, acceptsRefusals: Bool = false, isConnected: Bool
    ) -> [Action] {
        var actions = keepSubscribed(consumer.subscriptions.map(\.filter.filter))
        subscribing.append(SubscribeOperation(caller: caller, consumer: consumer, acceptsRefusals: acceptsRefusals))
        guard isConnected else { return actions }
        actions += ask(for: table.groups(of: consumer))
        actions += ask(for: table.unidentified(), isSilent: true)
        return actions
    }

    /// Ends the wait of a consumer's caller, if there is one. The broker's answer then belongs to a SUBSCRIBE without a
    /// waiting caller.
    mutating func endWait(for consumer: MessageBuffer, _ outcome: Result<[MQTTReasonCode], MQTTError>) -> [Action] {
        guard let operation = takeOperation(of: consumer) else { return [] }
        return [.resume(operation.caller, outcome)]
    }

    /// Starts a consumer before its SUBACK: it is full of messages that a resumed session delivers for its filters.
    /// Until they are read, the client reads nothing more, including the SUBACK. A later refusal is handled like one
    /// after a reconnect.
    mutating func beginEarly(_ consumer: MessageBuffer) -> [Action] {
        if subscribing.isEmpty { return [] }
        return endWait(
            for: consumer, .success(consumer.subscriptions.map { MQTTReasonCode(rawValue: $0.qos.rawValue) }))
    }

    private mutating func takeOperation(of consumer: MessageBuffer) -> SubscribeOperation? {
        guard let index = subscribing.firstIndex(where: { $0.consumer === consumer }) else { return nil }
        let operation = subscribing.remove(at: index)
        for (packetID, filters) in operation.packetIDs
        where !subscribing.contains(where: { $0.packetIDs[packetID] != nil }) {
            restoring[packetID] = Restoration(filters: filters, isSilent: true)
        }
        return operation
    }

    /// Ends all subscriptions after the client has stopped.
    ///
    /// - Parameter isQuiet: true if waiting callers receive a sequence that has ended, instead of the error.
    mutating func fail(_ error: MQTTError, isQuiet: Bool) -> [Action] {
        for consumer in table.consumers { consumer.finish() }
        defer { subscribing.removeAll() }
        return subscribing.map { .resume($0.caller, isQuiet ? .success([]) : .failure(error)) }
    }

    // MARK: SUBSCRIBE

    /// Subscribes, after a CONNACK, to the filters that the broker's session lacks.
    ///
    /// - Parameter isWanted: false for a filter whose turn comes later.
    mutating func restore(where isWanted: (String) -> Bool = { _ in true }) -> [Action] {
        for operation in subscribing { table.expectAnswer(operation.consumer) }
        return ask(for: table.unconfirmed(where: isWanted))
    }

    /// Subscribes to at most `maximum` of the unconfirmed filters, each in a separate packet. Returns nothing if there
    /// are none.
    mutating func askOneByOne(_ maximum: Int, where isWanted: (String) -> Bool) -> [Action] {
        let single = table.unconfirmed(where: isWanted).flatMap { $0.parts(of: 1) }
        return ask(for: Array(single.prefix(maximum)))
    }

    /// Subscribes to the unconfirmed filters that have no unanswered SUBSCRIBE.
    mutating func askForOthers() -> [Action] {
        let asked = askedFilters
        return ask(for: table.unconfirmed { !asked.contains($0) })
    }

    /// Subscribes to these filters.
    ///
    /// - Parameter isSilent: true if the broker has the filters, and only their identifiers are new.
    mutating func ask(
        for groups: [SubscriptionTable.Group], isSilent: Bool = false
    ) -> [Action] {
        var actions: [Action] = []
        for group in groups {
            for part in group.parts(of: maximumFilters) { ask(for: part, isSilent, &actions) }
        }
        return actions
    }

    private mutating func ask(
        for group: SubscriptionTable.Group, _ isSilent: Bool, _ actions: inout [Action]
    ) {
        let (possible, impossible) = checkLimits(of: group)
        for (filter, error) in impossible { cannotSubscribe(to: filter, error, isSilent, &actions) }
        if possible.subscriptions.isEmpty { return }
        let filters = possible.filters
        do throws(MQTTError) {
            let (packet, packetID) = try makePacket("SUBSCRIBE") { packetID, version in
                PacketEncoder.subscribe(possible.subscriptions, identifier: possible.identifier, packetID, version)
            }
            actions.append(.send(packet, packetID))
            table.noteAsked(filters)
            for subscription in possible.subscriptions { trace(subscription, packetID) }
            var isAwaited = false
            for index in subscribing.indices where subscribing[index].isWaiting(for: filters) {
                subscribing[index].packetIDs[packetID] = filters
                isAwaited = true
            }
            if !isAwaited { restoring[packetID] = Restoration(filters: filters, isSilent: isSilent) }
        } catch {
            guard possible.subscriptions.count > 1 else {
                return cannotSubscribe(to: filters[0], error, isSilent, &actions)
            }
            // A filter that cannot be sent must not keep the rest of its group from being sent.
            for subscription in possible.subscriptions {
                ask(for: SubscriptionTable.Group(subscriptions: [subscription]), isSilent, &actions)
            }
        }
    }

    /// Logs a packet in libmosquitto's format.
    private func trace(_ subscription: MQTTSubscription, _ packetID: UInt16) {
        logger.trace(
            """
            Client \(configuration.clientID) sending SUBSCRIBE (Mid: \(packetID), Topic: \(subscription.filter), \
            QoS: \(subscription.qos.rawValue), Options: 0x\(subscription.options < 16 ? "0" : "")\(String(subscription.options, radix: 16)))
            """)
    }

    /// Splits a group into the filters that the broker's CONNACK permits, and those that it rules out.
    private func checkLimits(
        of group: SubscriptionTable.Group
    ) -> (possible: SubscriptionTable.Group, impossible: [(filter: String, error: MQTTError)]) {
        guard let limits else { return (group, []) }
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
    private mutating func cannotSubscribe(
        to filter: String, _ error: MQTTError, _ isSilent: Bool, _ actions: inout [Action]
    ) {
        logger.error(
            "a topic filter cannot be subscribed to", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        if isSilent { return }
        // If no packet identifier is free, the next connection subscribes.
        guard error.code == .operationRefused else { return failCallers(of: filter, error, &actions) }
        failAndTell(filter, error, &actions)
        // No SUBSCRIBE was sent, and a broker that does not support such filters may object to an UNSUBSCRIBE too.
        if table.wanted.contains(filter) { table.revoke(filter) }
    }

    // MARK: SUBACK

    mutating func subscribed(_ packetID: UInt16, _ codes: [UInt8], _ explanation: ReasonExplanation?) -> [Action] {
        var finished: [SubscribeOperation] = []
        var awaited: [String]?
        let asking = subscribing.map(\.consumer)
        for index in subscribing.indices.reversed() {
            guard let named = subscribing[index].packetIDs.removeValue(forKey: packetID) else { continue }
            awaited = named
            for (position, filter) in named.enumerated() {
                let code = position < codes.count ? MQTTReasonCode(rawValue: codes[position]) : .unspecifiedError
                subscribing[index].reasonCodes[filter] = code
            }
            if let explanation { subscribing[index].explanation = explanation }
            if subscribing[index].isAnswered { finished.append(subscribing.remove(at: index)) }
        }
        let restored = restoring.removeValue(forKey: packetID)
        if awaited != nil || restored != nil { identifiers.free(packetID) }
        let filters = awaited ?? restored?.filters ?? []
        var actions = filters.map { Action.answered(.subscription($0)) }
        var granted: [String] = []
        for (filter, code) in zip(filters, codes) {
            if code < 0x80 {
                grant(filter)
                granted.append(filter)
            } else {
                var error = Self.refusal(of: filter, MQTTReasonCode(rawValue: code))
                error.explain(explanation)
                let others = table.consumers.filter { consumer in !asking.contains { $0 === consumer } }
                let isAwaited = awaited != nil || !table.has(filter)
                table.revoke(filter)
                if !isAwaited || others.contains(where: { $0.has(filter) }) {
                    tellRefusal(of: filter, error, others, &actions)
                }
            }
        }
        actions += codes.map { .denied(MQTTReasonCode(rawValue: $0)) }
        if let restored, !restored.isSilent, !granted.isEmpty { actions.append(.resubscribed(granted)) }
        for operation in finished { complete(operation, &actions) }
        return actions
    }

    private mutating func grant(_ filter: String) {
        table.confirm(filter)
        guard refusedFilters.remove(filter) != nil else { return }
        for consumer in table.consumers { consumer.grant(filter) }
    }

    private mutating func complete(_ operation: SubscribeOperation, _ actions: inout [Action]) {
        let codes = operation.consumer.subscriptions.map {
            operation.reasonCodes[$0.filter.filter] ?? .unspecifiedError
        }
        guard let index = codes.firstIndex(where: \.isError) else {
            return actions.append(.resume(operation.caller, .success(codes)))
        }
        if operation.acceptsRefusals, codes.contains(where: { !$0.isError }) {
            for (subscription, code) in zip(operation.consumer.subscriptions, codes) where code.isError {
                let filter = subscription.filter.filter
                table.refuse(filter)
                refusedFilters.insert(filter)
                _ = operation.consumer.refuse(filter, Self.refusal(of: filter, code))
            }
            return actions.append(.resume(operation.caller, .success(codes)))
        }
        let filter = operation.consumer.subscriptions[index].filter.filter
        var error = Self.refusal(of: filter, codes[index])
        error.explain(operation.explanation)
        error.refusedFilters = zip(operation.consumer.subscriptions, codes).filter(\.1.isError).map(\.0.filter)
        actions.append(.resume(operation.caller, .failure(error)))
    }

    // MARK: Refusals

    private static func refusal(of filter: String, _ code: MQTTReasonCode) -> MQTTError {
        var error = MQTTError.operationRefused(
            code, "the broker refused the topic filter \(quoted(filter)): \(code)")
        error.refusedFilters = [MQTTTopicFilter(filter)]
        return error
    }

    /// Gives up a filter: the client does not subscribe to it again, unless another consumer requests it. A caller that
    /// waits for its SUBACK receives this error.
    mutating func giveUp(filter: String, _ error: MQTTError) -> [Action] {
        table.refuse(filter)
        logger.error(
            "a topic filter is not subscribed to again", metadata: ["mqtt.filter": "\(filter)", "error": "\(error)"])
        var actions: [Action] = []
        failAndTell(filter, error, &actions)
        return actions
    }

    /// Fails the calls that wait for this filter, and reports the refusal to its existing consumers.
    private mutating func failAndTell(_ filter: String, _ error: MQTTError, _ actions: inout [Action]) {
        let asking = subscribing.map(\.consumer)
        failCallers(of: filter, error, &actions)
        let others = table.consumers.filter { consumer in !asking.contains { $0 === consumer } }
        if others.contains(where: { $0.has(filter) }) { tellRefusal(of: filter, error, others, &actions) }
    }

    private mutating func failCallers(of filter: String, _ error: MQTTError, _ actions: inout [Action]) {
        for index in subscribing.indices where subscribing[index].isWaiting(for: [filter]) {
            subscribing[index].reasonCodes[filter] = error.reasonCode ?? .unspecifiedError
        }
        let concerned = subscribing.filter {
            $0.isWaiting(for: [filter]) && (!$0.acceptsRefusals || $0.isAnswered)
        }
        for operation in concerned {
            _ = takeOperation(of: operation.consumer)
            if operation.acceptsRefusals {
                complete(operation, &actions)
            } else {
                actions.append(.resume(operation.caller, .failure(error)))
            }
        }
    }

    /// Reports that the broker refuses a filter that it had granted. The refusal of a consumer's last filter ends its
    /// sequence.
    private mutating func tellRefusal(
        of filter: String, _ error: MQTTError, _ consumers: [MessageBuffer], _ actions: inout [Action]
    ) {
        actions.append(.refused(MQTTTopicFilter(filter), error))
        table.revoke(filter)
        refusedFilters.insert(filter)
        for consumer in consumers where consumer.has(filter) && consumer.refuse(filter, error) {
            table.remove(consumer, keepsFilters: configuration.keepsFilters)
        }
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
