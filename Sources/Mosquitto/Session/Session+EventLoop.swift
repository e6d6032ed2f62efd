// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Calls of the event loop, which enters the session without a Swift job.
extension Session: EventLoopClient {
    nonisolated func socketReady(_ token: UInt64, _ events: PollEvents) {
        assumeIsolated { session in
            if token == session.link?.token { session.advance(events) } else { session.raceReady(token) }
        }
    }

    nonisolated func mailboxReady() {
        assumeIsolated { session in
            let queue = session.shared.queue.look()
            if !session.publisher.pending.isEmpty || !queue.isEmpty { session.needsFlush() }
            session.watchExpiry(isQueued: queue.hasExpiring)
            session.watchIdle()
            if queue.hasDropped { session.watchDrops() }
            session.takeReceipts()
            if session.shared.isReaderWoken.exchange(false, ordering: .acquiring) { session.needsFlush() }
        }
    }

    nonisolated func turnEnded() {
        assumeIsolated { $0.endTurn() }
    }

    /// A closure that a consumer calls, on any thread, after it has made room.
    nonisolated var wakeReader: @Sendable () -> Void {
        { [weak self] in
            guard let self, !self.shared.isReaderWoken.exchange(true, ordering: .releasing) else { return }
            self.loop.schedule(self)
        }
    }

    /// Returns after the loop has run this call: the loop is alive.
    func respond() {}
}
