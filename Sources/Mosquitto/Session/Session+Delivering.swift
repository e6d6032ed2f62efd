// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// Delivery of messages to their consumers, and their acknowledgements. ``Inbox`` decides; the session performs its
/// decisions here.
extension Session {
    /// Passes messages to their consumers.
    func deliver(_ messages: [IncomingMessage], _ connection: Connection) {
        metrics?.received(messages)
        carryOut(inbox.deliver(messages, &subscriber))
        writeAcknowledgements(connection)
        watchUnclaimed()
        let dropped = inbox.takeDropped()
        if dropped > 0 { metrics?.dropped(dropped) }
    }

    /// Writes the acknowledgements that are due.
    func writeAcknowledgements(_ connection: Connection) {
        inbox.takeAcknowledgements { packets in
            connection.writeAcknowledgements(packets)
            needsFlush()
        }
    }

    /// Sends the acknowledgements of handled messages.
    func takeReceipts() {
        guard inbox.takeReceipts() else { return }
        if let connection { writeAcknowledgements(connection) }
        needsFlush()
        resendIfNeeded()
    }

    // MARK: Reading

    /// Pauses or resumes reading, depending on the consumers. Called once at the end of a turn, whatever the source of
    /// its events.
    ///
    /// Returns true if the connection is still up.
    func adjustReading() -> Bool {
        guard let connection else { return false }
        guard connection.isReadingPaused == isReadable() else { return true }
        if !connection.isReadingPaused {
            connection.pauseReading()
            return true
        }
        // There may be more held-back bytes, or a full consumer again.
        needsFlush()
        return drive { connection throws(MQTTError) in try connection.resumeReading() }
    }

    /// Returns true if the connection should be read. A connection that is not established always is, and so is one
    /// that is being closed: no consumer may keep the client from its next connection.
    private func isReadable() -> Bool {
        switch machine.state {
        case .connected, .draining: inbox.isReadable(subscriber.table.consumers, awaitsAnswer: awaitsAnswer)
        default: true
        }
    }

    /// True if a call waits for the broker. The caller may be a consumer that publishes the messages it receives, and
    /// accepts no more until then. Bytes that a full socket holds back count too: the broker may resume reading only
    /// when the client does.
    private var awaitsAnswer: Bool {
        publisher.hasMessages || subscriber.awaitsAnswer || shared.awaitedResponses.load(ordering: .acquiring) > 0
    }

    // MARK: Messages without a consumer

    /// Takes the messages that wait for a new consumer, which is not in ``SubscriptionTable`` yet.
    func claim(for consumer: MessageBuffer) -> [IncomingMessage] {
        defer { resendIfNeeded() }
        return inbox.claim(for: consumer, kept: subscriber.table.kept, isConnected: isAcknowledging)
    }

    /// True if the connection on which unacknowledged messages arrived is up.
    private var isAcknowledging: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        default: false
        }
    }

    /// Keeps the unread messages of a consumer for the next one.
    func putBack(_ leftOver: [IncomingMessage]) {
        if case .stopped = machine.state { return }
        inbox.putBack(leftOver, subscriber)
        watchUnclaimed()
    }

    private func watchUnclaimed() {
        guard inbox.unclaimed.holdsReceipts, !timers.isRunning(.unclaimed) else { return }
        setTimer(.unclaimed, after: Inbox.unclaimedLimit) { session in
            session.inbox.lookAtUnclaimed(kept: session.subscriber.table.kept)
            session.watchUnclaimed()
        }
    }

    // MARK: Redelivery

    /// Reconnects gracefully if the broker must resend unhandled messages.
    func resendIfNeeded() {
        guard inbox.resending.isDue, !timers.isRunning(.resending), isConnectionKept else { return }
        let now = ContinuousClock.now
        let wait = inbox.resending.wait(now: now)
        if wait > .zero { return resendLater(wait) }
        let actions = machine.reconnectGracefully()
        // A rotation is in progress, which may end without a reconnect.
        if actions.isEmpty { return resendLater(.seconds(1)) }
        inbox.resending.begin(now: now)
        logger.notice(
            "reconnecting, so that the broker sends again what was not handled",
            metadata: ["mqtt.messages": "\(inbox.resending.abandoned + inbox.givenBack.count)"])
        perform(actions)
    }

    private func resendLater(_ delay: Duration) {
        setTimer(.resending, after: delay) { $0.resendIfNeeded() }
    }
}

extension Inbox.Configuration {
    init(_ configuration: MQTTClientConfiguration, countsDropped: Bool) {
        holds = configuration.acknowledgement == .afterHandling
        acknowledgesOnDelivery = configuration.acknowledgesOnDelivery
        isPersistent = configuration.session != .clean
        isKept = isPersistent || configuration.connect.cleanSessionExpiry > .zero
        receiveMaximum = configuration.receiving.receiveMaximum
        self.countsDropped = countsDropped
    }
}
