import Logging

/// What a broker's DISCONNECT says about the operations that were under way. Made again, they would end the next connection
/// too; so they fail, with the broker's reason, and the others go on.
extension Session {
    func giveUpSuspects(_ code: MQTTReasonCode) {
        switch code {
        case .topicFilterInvalid: giveUpSubscriptions(code) { _ in true }
        case .sharedSubscriptionsNotSupported: giveUpSubscriptions(code) { $0.hasPrefix("$share/") }
        case .wildcardSubscriptionsNotSupported: giveUpSubscriptions(code) { $0.contains("+") || $0.contains("#") }
        case .packetTooLarge:
            let largest = inFlight.all.map(\.payload.count).max()
            giveUpPublishes(code) { $0.payload.count == largest }
        case .payloadFormatInvalid: giveUpPublishes(code) { $0.properties.payloadIsUTF8 == true }
        case .retainNotSupported: giveUpPublishes(code) { $0.retain }
        case .qosNotSupported:
            let highest = inFlight.all.map(\.qos.rawValue).max()
            giveUpPublishes(code) { $0.qos.rawValue == highest }
        case .receiveMaximumExceeded, .messageRateTooHigh:
            // For good: the broker has said what it thinks of more.
            maximumInFlight = max(1, min(maximumInFlight, window) / 2)
            logger.notice("fewer messages in flight", metadata: ["mqtt.maximum_in_flight": "\(maximumInFlight)"])
        default: break
        }
    }

    /// Not in a persistent session: the broker may have taken the publish, and would take another one with its packet identifier
    /// for the same. There it is sent again.
    private func giveUpPublishes(_ code: MQTTReasonCode, where isSuspect: (OutgoingPublish) -> Bool) {
        guard configuration.session == .clean else { return }
        for publish in inFlight.remove(where: isSuspect) { refuse(publish, .endedBy(code, "the publish")) }
    }

    private func giveUpSubscriptions(_ code: MQTTReasonCode, where isSuspect: (String) -> Bool) {
        let unanswered = subscribing.flatMap(\.packetIDs.values) + restoring.values.map(\.filters)
        for filter in Set(unanswered.flatMap { $0 }).filter(isSuspect) {
            subscriptions.refuse(filter)
            let asking = subscribing.map(\.consumer)
            logger.error(
                "the broker ended the connection over a topic filter; it is not subscribed to again",
                metadata: ["mqtt.filter": "\(filter)", "mqtt.reason_code": "\(code)"])
            let error = MQTTError.endedBy(code, "the subscription to \(quoted(filter))")
            failSubscribing(to: filter, error)
            let others = subscriptions.consumers.filter { consumer in !asking.contains { $0 === consumer } }
            if others.contains(where: { $0.has(filter) }) { tellRefusal(of: filter, error, others) }
        }
    }
}

extension MQTTError {
    fileprivate static func endedBy(_ code: MQTTReasonCode, _ operation: String) -> MQTTError {
        .operationRefused(code, "the broker ended the connection, presumably over \(operation): \(code)")
    }
}
