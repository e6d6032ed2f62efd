// SPDX-License-Identifier: Apache-2.0

/// Decides when to reconnect for unhandled messages: the broker resends them only on the next connection. A value
/// without a clock.
struct Resending {
    typealias Instant = ContinuousClock.Instant

    /// The first interval between two such reconnects, which doubles up to ``maximumDelay``.
    private static let minimumDelay = Duration.seconds(10)
    private static let maximumDelay = Duration.seconds(300)

    /// The number of messages that consumers may leave unacknowledged: half of the smallest window in use, which is
    /// that of mosquitto with MQTT 3.1.1 (`max_inflight_messages`). A broker does not announce its own window.
    private let limit: Int
    /// Messages that consumers have left to the broker since the connection began.
    private(set) var abandoned = 0
    private var isDemanded = false
    private var last: Instant?
    private var delay = Duration.zero

    init(receiveMaximum: UInt16) { limit = max(1, min(Int(receiveMaximum), 20) / 2) }

    /// True if a reconnect is worthwhile.
    var isDue: Bool { isDemanded || abandoned >= limit }

    /// Records that a consumer has left a message to the broker.
    mutating func left() { abandoned += 1 }

    /// Records that a new consumer wants messages that were left to the broker.
    mutating func demand() { isDemanded = true }

    /// Returns the time until the next reconnect may begin.
    func wait(now: Instant) -> Duration { last.map { max(.zero, $0 + delay - now) } ?? .zero }

    /// Records that a reconnect begins.
    mutating func begin(now: Instant) {
        let isRepeated = last.map { now < $0 + delay * 2 } ?? false
        delay = isRepeated ? min(delay * 2, Self.maximumDelay) : Self.minimumDelay
        last = now
    }

    mutating func connectionEnded() {
        abandoned = 0
        isDemanded = false
    }
}
