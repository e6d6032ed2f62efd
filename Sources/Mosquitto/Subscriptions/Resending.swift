/// Decides when to reconnect for messages that were not handled: the broker sends them again on the next connection
/// only. A value without a clock.
struct Resending {
    typealias Instant = ContinuousClock.Instant

    /// The first distance of two such reconnects. It doubles up to ``maximumDelay``.
    private static let minimumDelay = Duration.seconds(10)
    private static let maximumDelay = Duration.seconds(300)

    /// The number of messages that consumers may leave unacknowledged: half of the smallest window in use, which is
    /// that of mosquitto with MQTT 3.1.1 (`max_inflight_messages`). A broker does not tell its own.
    private let limit: Int
    /// Messages that consumers have left to the broker since the connection began.
    private(set) var abandoned = 0
    private var isDemanded = false
    private var last: Instant?
    private var delay = Duration.zero

    init(receiveMaximum: UInt16) { limit = max(1, min(Int(receiveMaximum), 20) / 2) }

    /// True if it is worth a reconnect.
    var isDue: Bool { isDemanded || abandoned >= limit }

    /// A consumer has left a message to the broker.
    mutating func left() { abandoned += 1 }

    /// A new consumer wants messages that were left to the broker.
    mutating func demand() { isDemanded = true }

    /// Returns how long the next reconnect has to wait for its distance from the last one.
    func wait(now: Instant) -> Duration { last.map { max(.zero, $0 + delay - now) } ?? .zero }

    /// A reconnect begins.
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
