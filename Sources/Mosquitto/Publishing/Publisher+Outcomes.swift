// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Logging

/// Outcomes of messages: acknowledgements, refusals, cancellation and expiry.
extension Publisher {
    /// The meaning of an acknowledgement.
    enum Answer {
        /// No message in flight has its packet identifier.
        case unknown
        /// `refusal`: the broker's reason for refusing the message.
        case answered(OutgoingPublish, refusal: MQTTReasonCode?)
        /// A PUBREC: the final answer is yet to come.
        case takenOver(OutgoingPublish)
        case violation(MQTTError)
    }

    /// Handles a PUBACK or a PUBCOMP, depending on the QoS.
    mutating func finished(_ acknowledgement: Acknowledgement, _ qos: MQTTQoS) -> Answer {
        guard let publish = inFlight[acknowledgement.packetID] else { return .unknown }
        guard publish.qos == qos else { return mismatched(publish) }
        _ = inFlight.remove(acknowledgement.packetID)
        answers += 1
        let code = MQTTReasonCode(rawValue: acknowledgement.reasonCode)
        if let received = publish.received {
            // The PUBREC has the result. In recovery the broker may no longer know the identifier (MQTT 5.0, section
            // 3.7.2.1).
            succeed(publish, received)
        } else if !code.isError {
            succeed(publish, MQTTPublishResult(acknowledgement))
        } else if code != .packetIdentifierInUse || !renumber(publish, acknowledgement.packetID) {
            var error = MQTTError.operationRefused(code, "the broker refused the publish: \(code)")
            error.explain(acknowledgement.explanation)
            refuse(publish, error)
            return .answered(publish, refusal: code)
        }
        return .answered(publish, refusal: nil)
    }

    /// Handles a PUBREC, which may refuse the message.
    mutating func takenOver(_ acknowledgement: Acknowledgement) -> Answer {
        guard let publish = inFlight[acknowledgement.packetID] else { return .unknown }
        guard publish.qos == .exactlyOnce else { return mismatched(publish) }
        answers += 1
        let code = MQTTReasonCode(rawValue: acknowledgement.reasonCode)
        if code == .packetIdentifierInUse, publish.isRepeated, publish.received == nil {
            // The broker received the message the first time, and waits for PUBREL.
            publish.received = .success
            unsentAgain.prepend(acknowledgement.packetID)
        } else if code.isError {
            return finished(acknowledgement, .exactlyOnce)
        } else {
            publish.received = MQTTPublishResult(acknowledgement)
        }
        return .takenOver(publish)
    }

    private func mismatched(_ publish: OutgoingPublish) -> Answer {
        .violation(
            MQTTError(
                .protocolViolation,
                "the broker answered a PUBLISH of QoS \(publish.qos.rawValue) with the acknowledgement of another",
                phase: .connected))
    }

    /// Sends the message with another packet identifier because an earlier process with the same session has left this
    /// one in use; the client does not use it again in this session. Returns true if a retry is worthwhile.
    private mutating func renumber(_ publish: OutgoingPublish, _ packetID: UInt16) -> Bool {
        guard !publish.isCancelled, publish.renumberings < Self.renumberingLimit else { return false }
        publish.renumberings += 1
        publish.isRepeated = false
        identifiers.avoid(packetID)
        pending.putBack([publish])
        return true
    }

    /// More than mosquitto's window.
    private static let renumberingLimit = 100

    // MARK: Outcomes

    func succeed(_ publish: OutgoingPublish, _ result: MQTTPublishResult) {
        metrics?.published(publish.qos, startedAt: publish.startedAt)
        publish.complete(.success(result))
    }

    func refuse(_ publish: OutgoingPublish, _ error: MQTTError) {
        if publish.continuation == nil {
            logger.warning(
                "a message was not published", metadata: ["mqtt.topic": "\(publish.topic)", "error": "\(error)"])
        }
        metrics?.failed(error)
        publish.complete(.failure(error))
    }

    /// Refuses several messages, with one line in the log.
    func giveUp(_ publishes: [OutgoingPublish], _ error: MQTTError) {
        let unheard = publishes.count { $0.continuation == nil && !$0.isCancelled }
        if unheard > 0 {
            logger.warning(
                "enqueued messages were not published",
                metadata: ["mqtt.messages": "\(unheard)", "error": "\(error)"])
        }
        for publish in publishes {
            if !publish.isCancelled { metrics?.failed(error) }
            publish.complete(.failure(error))
        }
    }

    /// Ends the wait for a message that the loop has taken.
    mutating func cancel(_ publish: OutgoingPublish, _ error: MQTTError) {
        guard let continuation = publish.takeContinuation() else { return }
        // A message already sent is still acknowledged.
        publish.isCancelled = true
        pending.remove(publish)
        continuation.resume(returning: .failure(error))
    }

    // MARK: Verdicts

    /// Publishes in flight without a PUBREC.
    var notTakenOver: [OutgoingPublish] { inFlight.all.filter { $0.received == nil } }

    /// Returns the unanswered publishes sent on this connection after a sequence, in order.
    func unanswered(after sequence: UInt64) -> [OutgoingPublish] {
        let unsent = Set(unsentAgain)
        return inFlight.packetIDs.compactMap { packetID in
            guard !unsent.contains(packetID), let publish = inFlight[packetID] else { return nil }
            return publish.received == nil && publish.sequence > sequence ? publish : nil
        }
    }

    /// Refuses a message in flight that makes the broker close connections.
    mutating func convict(_ publish: OutgoingPublish, _ error: MQTTError) {
        guard let packetID = inFlight.packetIDs.first(where: { inFlight[$0] === publish }) else { return }
        _ = inFlight.remove(packetID)
        // The broker may hold the message as QoS 2, and would take another publish with its identifier for a
        // repetition.
        if configuration.isPersistent { identifiers.avoid(packetID) }
        refuse(publish, error)
    }

    /// Refuses messages in flight that the broker's reason code concerns. Returns true if there are any.
    ///
    /// Does nothing in a persistent session: the broker may have received the publish, and would take another one with
    /// its packet identifier for a repetition. There the message is resent.
    ///
    /// - Parameter isOneOf: true if the broker does not say which of several it means.
    mutating func convict(
        _ error: MQTTError, isOneOf: Bool = false, where isSuspect: (OutgoingPublish) -> Bool
    ) -> Bool {
        guard !configuration.isPersistent, !isOneOf || notTakenOver.count(where: isSuspect) == 1 else { return false }
        let suspects = inFlight.remove { $0.received == nil && isSuspect($0) }
        for publish in suspects { refuse(publish, error) }
        return !suspects.isEmpty
    }

    /// Halves the window permanently, after the broker has rejected a larger one.
    mutating func narrow() {
        maximumInFlight = max(1, min(maximumInFlight, window) / 2)
        logger.notice("fewer messages in flight", metadata: ["mqtt.maximum_in_flight": "\(maximumInFlight)"])
    }

    // MARK: Expiry

    static var expired: MQTTError {
        MQTTError(.messageExpired, "the message expired before it could be sent", phase: .connected)
    }

    /// Returns true if a message can expire: a waiting one, or without a connection one in flight.
    ///
    /// - Parameter isQueued: true if a message in the queue has a Message Expiry Interval.
    func expires(isQueued: Bool, isOffline: Bool) -> Bool {
        isQueued || pending.expiring > 0 || isOffline && expiresInFlight
    }

    /// Refuses the expired messages.
    mutating func removeExpired(_ now: ContinuousClock.Instant, isOffline: Bool) {
        giveUp(pending.remove { $0.hasExpired(now) } + queue.removeExpired(now), Self.expired)
        if isOffline { endExpiredInFlight(now) }
    }

    /// True if a call waits for the acknowledgement of a message with a Message Expiry Interval.
    private var expiresInFlight: Bool {
        inFlight.expiring > 0 && inFlight.all.contains { $0.isExpiring && $0.continuation != nil }
    }

    /// Ends the calls of expired messages in flight. The messages stay in the session, since a broker that resumes it
    /// must receive them (MQTT 5.0, section 4.4).
    private func endExpiredInFlight(_ now: ContinuousClock.Instant) {
        guard expiresInFlight else { return }
        for publish in inFlight.all where publish.continuation != nil && publish.hasExpired(now) {
            publish.isCancelled = true
            if publish.received == nil { metrics?.failed(Self.expired) }
            publish.complete(publish.received.map { .success($0) } ?? .failure(Self.expired))
        }
    }
}
