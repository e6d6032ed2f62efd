// SPDX-License-Identifier: Apache-2.0

import Logging

/// Owns received messages from their packets to their consumers, and their acknowledgements. A value without a
/// connection: it determines which acknowledgements are due (``takeAcknowledgements(_:)``), and whether reading
/// continues.
///
/// The state of a QoS 2 message is stored only here: its PUBREC in ``acknowledgements``, and the message in
/// ``unreleased`` until its PUBREL. Inbox+Unclaimed handles messages without a consumer.
struct Inbox {
    struct Configuration {
        /// True if a message is acknowledged when its consumers have handled it.
        var holds = false
        /// True if a message is acknowledged as soon as a consumer has it, and held while none has.
        var acknowledgesOnDelivery = false
        /// True if the session is persistent: the broker resends unacknowledged messages.
        var isPersistent = false
        /// True if the broker keeps the session after this client, whether or not the client resumes it.
        var isKept = false
        var receiveMaximum = UInt16.max
        /// True if a caller reads ``Inbox/dropped``.
        var countsDropped = false
    }

    let configuration: Configuration
    let logger: Logger
    let receipts = SettledReceipts()
    private let settle: @Sendable (Receipt) -> Void

    private(set) var acknowledgements: OutgoingAcknowledgements
    /// A counter, incremented by every connection.
    private var connection = 0
    /// True while acknowledgements can be sent: nothing follows a DISCONNECT (MQTT 5.0, section 3.14.4).
    private var isOpen = false

    private var unreleased: [UInt16: UnreleasedMessage] = [:]
    /// QoS 1 messages whose acknowledgement waits for their consumers.
    private var handling: [UInt16: MessageUnderHandling] = [:]
    /// QoS 2 messages that a shutdown waits for the broker to release.
    private var unfinished: Set<UInt16> = []
    /// Releases of ``unfinished`` since the last call of ``hasProgressed()``.
    private var releases = 0

    private var mayHaveFullConsumer = false
    /// Number of messages that buffers have dropped and that were not reported yet.
    private(set) var dropped = 0

    var unclaimed = UnclaimedMessages()
    /// Topics, by packet identifier, of unclaimed messages that are left to the broker until the next connection.
    var givenBack: [UInt16: String] = [:]
    /// Number of messages that were discarded for their properties.
    private var oversized = 0
    /// The number at the last warning.
    private var warnedOfOversized = 0
    /// The number of unclaimed messages in the last warning.
    var warnedOfUnclaimed = 0
    var resending: Resending

    init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        settle = { [receipts] in receipts.add($0) }
        acknowledgements = Self.makeAcknowledgements(configuration)
        resending = Resending(receiveMaximum: configuration.receiveMaximum)
    }

    private static func makeAcknowledgements(_ configuration: Configuration) -> OutgoingAcknowledgements {
        OutgoingAcknowledgements(holds: configuration.holds || configuration.acknowledgesOnDelivery)
    }

    // MARK: Connections

    /// Handles a CONNACK. `isResumed`: the broker has the session of the previous connection.
    mutating func connected(isResumed: Bool, _ consumers: [MessageBuffer]) {
        isOpen = true
        mayHaveFullConsumer = true
        if isResumed {
            resumeUnclaimed(consumers)
        } else {
            sessionForgotten()
            unreleased.removeAll()
        }
    }

    /// Records that the client's DISCONNECT was written.
    mutating func disconnecting() { isOpen = false }

    mutating func connectionEnded() {
        isOpen = false
        connection += 1
        acknowledgements = Self.makeAcknowledgements(configuration)
        unfinished = []
        givenBack = [:]
        warnedOfUnclaimed = 0
        resending.connectionEnded()
    }

    /// Records that the broker has no session: it resends nothing, and nothing must be acknowledged.
    mutating func sessionForgotten() {
        unclaimed.forgetReceipts()
        handling.removeAll()
    }

    // MARK: Packets

    /// Records a received PUBLISH, whose acknowledgement is due in the order of the messages.
    mutating func published(_ packetID: UInt16, _ qos: MQTTQoS) {
        if qos != .atMostOnce, !configuration.acknowledgesOnDelivery { acknowledgements.received(packetID, qos) }
    }

    /// Records a received PUBREL, which must be answered.
    mutating func answerRelease(_ packetID: UInt16) { acknowledgements.released(packetID) }

    /// Records a received PUBREC with a success code, which must be answered.
    mutating func answerTakeover(_ packetID: UInt16) { acknowledgements.takenOver(packetID) }

    /// Passes the packets to send, of four bytes each, and removes them.
    mutating func takeAcknowledgements(_ body: (UnsafeRawBufferPointer) -> Void) { acknowledgements.takeDue(body) }

    /// Records that the broker has released a QoS 2 message. Returns true if a shutdown waited for this message last.
    mutating func released(_ packetID: UInt16) -> Bool {
        unreleased[packetID] = nil
        guard !unfinished.isEmpty, unfinished.remove(packetID) != nil else { return false }
        releases += 1
        return unfinished.isEmpty
    }

    /// Returns the message of a PUBLISH; `nil` if it is the repetition of a QoS 2 message (MQTT 5.0, section 4.3.3), or
    /// of a QoS 1 message that is being handled.
    mutating func receive(_ message: MQTTMessage, _ packetID: UInt16) -> IncomingMessage? {
        if message.qos == .atMostOnce { return IncomingMessage(message: message) }
        var message = message
        message.packetIdentifier = packetID
        guard message.qos == .exactlyOnce else {
            if message.isRepetition, isUnderHandling(message, packetID) { return nil }
            if !configuration.holds { return IncomingMessage(message: message) }
            return IncomingMessage(message: message, receipt: makeReceipt(of: message, packetID))
        }
        if let known = unreleased[packetID] {
            // A message that is still being handled is acknowledged by its receipt.
            if case .handled = known {
                if configuration.holds {
                    release(packetID, isHandled: true)
                } else if configuration.acknowledgesOnDelivery {
                    acknowledgements.delivered(packetID, .exactlyOnce)
                }
            }
            return nil
        }
        let receipt = configuration.holds ? makeReceipt(of: message, packetID) : nil
        if receipt == nil { unreleased[packetID] = .handled }
        return IncomingMessage(message: message, receipt: receipt)
    }

    mutating func makeReceipt(of message: MQTTMessage, _ packetID: UInt16) -> Receipt {
        let receipt = Receipt(packetID: packetID, settled: settle)
        if message.qos == .exactlyOnce {
            unreleased[packetID] = .handling(receipt)
        } else {
            handling[packetID] = MessageUnderHandling(message, receipt, connection: connection)
        }
        return receipt
    }

    /// Returns whether a resent QoS 1 message is already being handled. Its receipt then applies to this connection,
    /// and a message that was handled while disconnected is acknowledged now.
    private mutating func isUnderHandling(_ message: MQTTMessage, _ packetID: UInt16) -> Bool {
        guard let known = handling[packetID], known.connection != connection, known.isSame(as: message) else {
            return false
        }
        handling[packetID]?.connection = connection
        if known.isHandled, configuration.acknowledgesOnDelivery {
            handling[packetID] = nil
            acknowledgements.delivered(packetID, message.qos)
        } else if known.isHandled {
            release(packetID, isHandled: true)
        }
        return true
    }

    // MARK: Receipts

    /// Acknowledges handled messages. Returns whether there were any.
    mutating func takeReceipts() -> Bool {
        let settled = receipts.take()
        for receipt in settled { take(receipt) }
        return !settled.isEmpty
    }

    private mutating func take(_ receipt: Receipt) {
        // An unacknowledged message of a clean session is never resent, since the client does not resume the session;
        // but it occupies one of the few places in the broker's window.
        let isDone = receipt.isHandled || !configuration.isPersistent
        let packetID = receipt.packetID
        if case .handling(let pending) = unreleased[packetID], pending === receipt {
            // An unhandled message must be delivered when the broker resends it.
            unreleased[packetID] = isDone ? .handled : nil
        } else if let known = handling[packetID], known.receipt === receipt {
            // A handled message is remembered until its acknowledgement is sent.
            if isDone { handling[packetID]?.isHandled = true } else { handling[packetID] = nil }
            if known.connection != connection {
                handling[packetID]?.condense()
                return
            }
        } else {
            return
        }
        release(packetID, isHandled: isDone)
        // Its acknowledgement waits for earlier ones.
        if isDone { handling[packetID]?.condense() }
        if !isDone, configuration.isPersistent, givenBack[packetID] == nil { resending.left() }
    }

    private mutating func release(_ packetID: UInt16, isHandled: Bool) {
        guard isOpen else { return }
        acknowledgements.settle(packetID, isHandled: isHandled) { handling[$0] = nil }
    }

    mutating func forget(_ messages: [IncomingMessage]) {
        for message in messages {
            guard let receipt = message.receipt else { continue }
            if handling[receipt.packetID]?.receipt === receipt { handling[receipt.packetID] = nil }
            if case .handling(let pending) = unreleased[receipt.packetID], pending === receipt {
                unreleased[receipt.packetID] = nil
            }
        }
    }

    // MARK: Consumers

    /// Passes messages to their consumers; consecutive messages with the same topic are passed together.
    mutating func deliver(_ messages: [IncomingMessage], _ subscriber: inout Subscriber) -> [Subscriber.Action] {
        var actions: [Subscriber.Action] = []
        var start = 0
        while start < messages.count {
            var end = start + 1
            while end < messages.count, messages[end].isForSame(as: messages[start]) { end += 1 }
            let run = start == 0 && end == messages.count ? messages : Array(messages[start..<end])
            deliver(run, messages[start].message, &subscriber, &actions)
            start = end
        }
        return actions
    }

    private mutating func deliver(
        _ run: [IncomingMessage], _ first: MQTTMessage, _ subscriber: inout Subscriber,
        _ actions: inout [Subscriber.Action]
    ) {
        if first.isDiscarded { return discardOversized(run, first) }
        let consumers = subscriber.table.consumers(
            of: first.topic, first.subscriptionIdentifiers, isRetained: first.retain)
        if consumers.isEmpty { return unwanted(run, first, &subscriber) }
        if configuration.acknowledgesOnDelivery { acknowledge(run) }
        for message in run { message.receipt?.consumers(consumers.count) }
        for consumer in consumers where consumer.append(run) {
            mayHaveFullConsumer = true
            actions += subscriber.beginEarly(consumer)
        }
        if configuration.countsDropped { for consumer in consumers { dropped += consumer.takeDropped() } }
    }

    mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }

    /// In a persistent session, holds messages without a consumer for the next consumer; discards them in a clean one.
    private mutating func unwanted(_ run: [IncomingMessage], _ first: MQTTMessage, _ subscriber: inout Subscriber) {
        if subscriber.table.isRedundant(first.topic, first.subscriptionIdentifiers) {
            return acknowledgeAndDiscard(run)
        }
        if configuration.isPersistent, !subscriber.isEnded(first.topic) {
            return hold(run, kept: subscriber.table.kept)
        }
        logger.debug("a message matches no subscription", metadata: ["mqtt.topic": "\(ForeignText(first.topic))"])
        acknowledgeAndDiscard(run)
    }

    /// Discards messages with too many properties.
    private mutating func discardOversized(_ run: [IncomingMessage], _ first: MQTTMessage) {
        oversized += run.count
        if oversized >= 2 * warnedOfOversized {
            warnedOfOversized = oversized
            logger.warning(
                """
                messages were discarded, since they have more than \(PacketDecoder.maximumProperties) properties, or more than \
                \(PacketDecoder.maximumPropertyBytes >> 20) MiB of them
                """,
                metadata: ["mqtt.topic": "\(ForeignText(first.topic))", "mqtt.messages": "\(oversized)"])
        }
        acknowledgeAndDiscard(run)
    }

    private mutating func acknowledgeAndDiscard(_ run: [IncomingMessage]) {
        if configuration.acknowledgesOnDelivery { acknowledge(run) }
        for message in run { message.receipt?.settle(isHandled: true) }
    }

    /// Acknowledges messages that have reached their consumers.
    private mutating func acknowledge(_ run: [IncomingMessage]) {
        for incoming in run {
            guard let packetID = incoming.message.packetIdentifier else { continue }
            acknowledgements.delivered(packetID, incoming.message.qos)
        }
    }

    /// Holds back the acknowledgement of a QoS 1 or 2 message that waits for its consumer.
    mutating func holdBack(_ message: MQTTMessage, _ packetID: UInt16) -> Receipt {
        acknowledgements.received(packetID, message.qos)
        return makeReceipt(of: message, packetID)
    }

    // MARK: Reading

    /// Records that a consumer may be full.
    mutating func noteFull() { mayHaveFullConsumer = true }

    /// Returns whether an established connection should be read.
    ///
    /// - Parameter awaitsAnswer: true if a call waits for the broker. The caller may be a consumer that publishes the
    ///   messages it receives, and accepts no more until then.
    mutating func isReadable(_ consumers: [MessageBuffer], awaitsAnswer: @autoclosure () -> Bool) -> Bool {
        guard mayHaveFullConsumer else { return true }
        let fullness = consumers.lazy.map(\.fullness).max() ?? .room
        mayHaveFullConsumer = fullness != .room
        return fullness == .room || fullness == .full && (!unfinished.isEmpty || awaitsAnswer())
    }

    // MARK: The end

    /// Makes a shutdown wait for the broker to release QoS 2 messages, if reading can continue: the session that a
    /// later run resumes then does not begin in the middle of a QoS 2 exchange.
    mutating func awaitReleases(_ isWanted: Bool) {
        unfinished = isWanted ? Set(unreleased.filter(\.value.isHandled).keys) : []
    }

    /// True while a shutdown waits for the broker to release messages.
    var awaitsRelease: Bool { !unfinished.isEmpty }

    /// Returns whether messages for which a shutdown waits were released since the last call.
    mutating func hasProgressed() -> Bool {
        defer { releases = 0 }
        return releases > 0
    }

    /// Discards unread messages at the end of the client, which acknowledges nothing more: the broker resends them to
    /// the next run of a session that is kept, so this run must not deliver them too.
    func leaveUnread(_ consumers: [MessageBuffer]) {
        guard configuration.holds, configuration.isKept else { return }
        for consumer in consumers { _ = consumer.takeUnacknowledged(includingExactlyOnce: true) }
    }
}
