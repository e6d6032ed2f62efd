// SPDX-License-Identifier: Apache-2.0

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
        let isShutdown = if case .draining(.shutdown) = machine.state { true } else { false }
        // A broker that has the PUBREC sends PUBREL.
        inbox.awaitReleases(isShutdown && connection?.isReadingPaused == false)
        // Packets queued in this turn are not sent yet.
        needsFlush()
        checkDrained()
    }

    func checkDrained() {
        guard publisher.inFlight.isEmpty, case .draining(let ending) = machine.state else { return }
        if connection?.hasUnsent == true { return }
        // A shutdown also waits for messages published before it.
        if ending == .shutdown, publisher.hasWaiting || inbox.awaitsRelease { return }
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
