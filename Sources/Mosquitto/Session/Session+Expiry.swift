import Logging

/// Messages that wait too long, or for which there was no room: they expire, or were dropped for newer ones.
extension Session {
    /// While messages wait that expire, they are looked at every second.
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

    /// Tells of messages that `.dropOldestQoS0` has dropped: of the first at once, and then of many at a time.
    func watchDrops() {
        if case .stopped = machine.state { return }
        guard !timers.isRunning(.drops), tellDrops() else { return }
        setTimer(.drops, after: Self.dropInterval) { $0.watchDrops() }
    }

    private static let dropInterval = Duration.seconds(5)

    /// Returns whether there was something to tell.
    @discardableResult
    func tellDrops() -> Bool {
        let count = shared.queue.takeDropped()
        if count > 0 { emit(.messagesDropped(MQTTMessagesDropped(count: count))) }
        return count > 0
    }
}
