import Logging

/// Waiting for messages to be sent and acknowledged, before the DISCONNECT of a rotation or a shutdown.
extension Session {
    /// Waits until nothing is in flight and everything was handed to the system. A rotation sends no new message
    /// meanwhile, so that no publish is sent twice.
    func drain() {
        // Handled messages are acknowledged before the DISCONNECT, even if they were completed in this turn.
        takeReceipts()
        _ = connection?.hasMoved()
        connection?.promiseDelivery()
        if case .draining(.shutdown) = machine.state, connection?.isReadingPaused == false {
            // A broker that has received PUBREC sends PUBREL: a session that a later run resumes should not begin in
            // the middle of this exchange.
            unfinished = Set(unreleased.filter(\.value.isHandled).keys)
        } else {
            unfinished = []
        }
        // The output of this turn is not sent yet.
        needsFlush()
        checkDrained()
    }

    func checkDrained() {
        guard publisher.inFlight.isEmpty, case .draining(let ending) = machine.state else { return }
        if connection?.hasUnsent == true { return }
        // A shutdown also waits for messages published before it.
        if ending == .shutdown, publisher.hasWaiting || !unfinished.isEmpty { return }
        perform(machine.drained(now: .now))
    }

    /// Reports the number of unsent and of dropped messages once, when the client stops, for all waiting callers.
    func countUnsent() {
        let count = publisher.lost
        if count > 0 {
            ending.unsent = MQTTError(
                .unsent,
                "the client has stopped with \(count) message\(count == 1 ? "" : "s") unsent or unacknowledged; "
                    + "timeouts.drain says how long a shutdown waits without progress")
            emit(.messagesUnsent(MQTTMessagesUnsent(count: count)))
        }
        tellDrops()
    }
}
