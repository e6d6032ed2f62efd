import Logging

/// Messages that wait too long, or for which there was no room: they expire, or were dropped for newer ones.
extension Session {
    static var expired: MQTTError {
        MQTTError(.messageExpired, "the message expired before it could be sent", phase: .connected)
    }

    /// While messages wait that expire, they are looked at every second.
    func watchExpiry() { watchExpiry(isQueued: shared.queue.hasExpiring) }

    func watchExpiry(isQueued: Bool) {
        guard expiryTimer == nil, isQueued || pending.expiring > 0 || expiresInFlight else { return }
        expiryTimer = loop.setTimer(after: .seconds(1)) { [weak self] in
            self?.assumeIsolated { $0.removeExpired() }
        }
    }

    private func removeExpired() {
        expiryTimer = nil
        let now = ContinuousClock.now
        giveUp(pending.remove { $0.hasExpired(now) } + shared.queue.removeExpired(now), Self.expired)
        removeExpiredInFlight(now)
        watchExpiry()
        checkDrained()
    }

    // MARK: In flight, without a connection

    /// Whether a call waits for the acknowledgement of a message that expires, with no connection that could bring it.
    private var expiresInFlight: Bool {
        inFlight.expiring > 0 && !mayStillBeSent && inFlight.all.contains { $0.expiry != nil && $0.continuation != nil }
    }

    private var mayStillBeSent: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        default: false
        }
    }

    /// Ends the calls. The messages stay with the session, which a broker that resumes it is owed (MQTT 5.0, section 4.4).
    private func removeExpiredInFlight(_ now: ContinuousClock.Instant) {
        guard expiresInFlight else { return }
        for publish in inFlight.all where publish.continuation != nil && publish.hasExpired(now) {
            publish.isCancelled = true
            if publish.received == nil { metrics?.failed(Self.expired) }
            publish.complete(publish.received.map { .success($0) } ?? .failure(Self.expired))
        }
    }

    // MARK: Dropped

    /// Tells of messages that `.dropOldestQoS0` has dropped: of the first at once, and then of many at a time.
    func watchDrops() {
        if case .stopped = machine.state { return }
        guard dropTimer == nil, tellDrops() else { return }
        dropTimer = loop.setTimer(after: Self.dropInterval) { [weak self] in
            self?.assumeIsolated { session in
                session.dropTimer = nil
                session.watchDrops()
            }
        }
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
