import Logging

/// Waiting for what has been promised, before the DISCONNECT of a rotation or a shutdown.
extension Session {
    /// Waits until nothing is in flight and everything has been handed to the system. In a rotation nothing new is
    /// handed out, so that no publish is sent twice.
    func drain() {
        // What has been handled is acknowledged before the DISCONNECT, also if it was settled in this turn.
        takeReceipts()
        _ = connection?.hasMoved()
        connection?.promiseDelivery()
        if case .draining(.shutdown) = machine.state, connection?.isReadingPaused == false {
            // Who has PUBREC sends PUBREL: a session that a later run resumes does not begin in the middle of it.
            unfinished = Set(unreleased.filter(\.value.isHandled).keys)
        } else {
            unfinished = []
        }
        // What this turn has queued is not sent yet.
        needsFlush()
        checkDrained()
    }

    func checkDrained() {
        guard publisher.inFlight.isEmpty, case .draining(let ending) = machine.state else { return }
        if connection?.hasUnsent == true { return }
        // A shutdown waits for what was published before it too.
        if ending == .shutdown, publisher.hasWaiting || !unfinished.isEmpty { return }
        perform(machine.drained(now: .now))
    }

    /// The client stops: what was not sent is reported once, whoever waited for it, and so is what was dropped.
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
