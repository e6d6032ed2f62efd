// SPDX-License-Identifier: Apache-2.0

/// Decides when the clients of a loop are told of a change of the network: notifications of the kernel in, actions out.
/// No clock, no I/O; callers pass the time.
///
/// A change arrives in pieces, such as a link, its address and its route, and an interface may come and go for hours.
/// Clients are told once of all that happens within ``settling``. After that at least ``minimumInterval`` passes, and
/// twice as long each further time, up to ``maximumInterval``, until nothing has come back for ``quietTime``. Nothing
/// is lost: a change that comes too early is told later.
struct NetworkWatchStateMachine: Sendable {
    typealias Instant = ContinuousClock.Instant

    static let settling = Duration.milliseconds(250)
    static let minimumInterval = Duration.seconds(5)
    static let maximumInterval = Duration.seconds(300)
    static let quietTime = Duration.seconds(60)

    private var running: Set<Int32> = []
    /// The change that clients have not been told of, the most telling one.
    private var pending: MQTTNetworkChange?
    private var lastChange: Instant?
    private var lastTold: Instant?
    private var interval = minimumInterval

    /// Handles a notification. Returns the time after which ``timerFired(now:)`` must be called; `nil` if there is
    /// nothing new to wait for.
    mutating func received(_ message: NetlinkMessage, now: Instant) -> Duration? {
        switch message {
        case .link(let index, true, let isInitial):
            return running.insert(index).inserted && !isInitial ? changed(.link, now) : nil
        case .link(let index, false, _), .linkRemoved(let index):
            running.remove(index)
            return nil
        case .addressAdded: return changed(.address, now)
        case .routeAdded: return changed(.route, now)
        }
    }

    /// Handles the loss of notifications, after which the state of the interfaces is unknown: one that works may have
    /// stopped, and its next notification counts as its return.
    mutating func lost(now: Instant) -> Duration? {
        running = []
        return changed(.unknown, now)
    }

    private mutating func changed(_ change: MQTTNetworkChange, _ now: Instant) -> Duration? {
        if lastChange.map({ now - $0 >= Self.quietTime }) ?? true { interval = Self.minimumInterval }
        lastChange = now
        guard let pending else {
            pending = change
            let due = lastTold.map { max(now + Self.settling, $0 + interval) } ?? now + Self.settling
            return due - now
        }
        if change.rank > pending.rank { self.pending = change }
        return nil
    }

    /// Returns the change that clients must be told of; `nil` if there is none.
    mutating func timerFired(now: Instant) -> MQTTNetworkChange? {
        guard let change = pending else { return nil }
        pending = nil
        if let lastTold, now - lastTold < Self.quietTime + interval {
            interval = min(interval * 2, Self.maximumInterval)
        }
        lastTold = now
        return change
    }
}

extension MQTTNetworkChange {
    /// The place in the order in which a network comes back.
    fileprivate var rank: Int {
        switch self {
        case .unknown: 0
        case .link: 1
        case .address: 2
        case .route: 3
        }
    }
}
