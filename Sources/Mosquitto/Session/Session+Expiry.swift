// SPDX-License-Identifier: Apache-2.0

import Logging

/// Expiry of waiting messages, and reports of messages dropped for newer ones.
extension Session {
    /// Checks waiting messages with a Message Expiry Interval every second, as long as there are any.
    func watchExpiry() { watchExpiry(isQueued: shared.queue.hasExpiring) }

    func watchExpiry(isQueued: Bool) {
        guard !timers.isRunning(.expiry), publisher.expires(isQueued: isQueued, isOffline: !mayStillBeSent) else {
            return
        }
        setTimer(.expiry, after: .seconds(1)) { $0.removeExpired() }
    }

    private func removeExpired() {
        publisher.removeExpired(.now, isOffline: !mayStillBeSent)
        watchExpiry()
        checkDrained()
    }

    /// True if there is a connection that can bring acknowledgements.
    private var mayStillBeSent: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        default: false
        }
    }

    // MARK: Dropped

    /// Reports messages dropped by `.dropOldestQoS0`: the first at once, later ones together.
    func watchDrops() {
        if case .stopped = machine.state { return }
        guard !timers.isRunning(.drops), tellDrops() else { return }
        setTimer(.drops, after: Self.dropInterval) { $0.watchDrops() }
    }

    private static let dropInterval = Duration.seconds(5)

    /// Reports dropped messages. Returns true if there were any.
    @discardableResult
    func tellDrops() -> Bool {
        let count = shared.queue.takeDropped()
        if count > 0 { emit(.messagesDropped(MQTTMessagesDropped(count: count))) }
        return count > 0
    }
}
