/// Time since the process had its first message: of a known size, unlike an instant, whose size the compiler does not know and
/// which would make the layout of every message a matter of run time.
struct Uptime {
    private let passed: Duration
    private static let origin = ContinuousClock.now

    static var now: Uptime { Uptime(passed: origin.duration(to: .now)) }

    func duration(to other: Uptime) -> Duration { other.passed - passed }
}

/// A message on its way out, from the call to the acknowledgement.
///
/// `@unchecked Sendable`: the caller makes it and posts it to the ``OutgoingQueue``, whose lock guards the variables; once the
/// loop has taken it from there, only the loop's thread reads and writes them, but for ``counts``, which stays the lock's.
final class OutgoingPublish: @unchecked Sendable {
    typealias Outcome = Result<MQTTPublishResult, MQTTError>
    typealias Continuation = UnsafeContinuation<Outcome, Never>

    let topic: String
    let payload: [UInt8]
    let qos: MQTTQoS
    let retain: Bool

    /// How far it has come on its way to the loop.
    enum Stage { case new, waiting, queued, taken, withdrawn }
    var stage = Stage.new
    /// Whether it counts against the limits of the queue.
    var counts = false

    /// Who waits for the outcome; `nil` for an enqueued message, and when it has been told. Set before it is posted.
    var continuation: Continuation?
    /// When the call began, if somebody measures it. Set before it is posted.
    var startedAt: Uptime?
    /// The order in which messages were encoded for a connection.
    var sequence: UInt64 = 0
    /// Whether the waiting call was cancelled before the message was acknowledged.
    var isCancelled = false

    /// What few messages have: the others are one allocation.
    private final class Extra {
        var properties = MQTTPublishProperties()
        var expiry: ContinuousClock.Instant?
        var received: MQTTPublishResult?
    }
    private var extra: Extra?

    init(topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        if properties.isEmpty { return }
        self.properties = properties
        extra?.expiry = properties.messageExpiryInterval.map { .now + .seconds($0) }
    }

    var hasProperties: Bool { extra != nil && !properties.isEmpty }

    /// Before it is posted, the context of a span is added.
    var properties: MQTTPublishProperties {
        get { extra?.properties ?? .init() }
        set { makeExtra().properties = newValue }
    }

    /// When it must not be sent any more (MQTT 5.0, section 3.3.2.3.3).
    var expiry: ContinuousClock.Instant? { extra?.expiry }

    /// What the broker's PUBREC said: it owns the message now, and sending it again would duplicate it.
    var received: MQTTPublishResult? { extra?.received }

    private func makeExtra() -> Extra {
        let known = extra ?? Extra()
        extra = known
        return known
    }

    /// What it takes in the queue.
    var size: Int { topic.utf8.count + payload.count }

    func hasExpired(_ now: ContinuousClock.Instant) -> Bool { expiry.map { $0 <= now } ?? false }

    /// The Message Expiry Interval that is left: the time it waited is taken off, and a second that has begun counts.
    func remainingExpiryInterval(_ now: ContinuousClock.Instant) -> UInt32? {
        expiry.map { expiry in
            let (seconds, attoseconds) = (expiry - now).components
            return UInt32(clamping: max(seconds, 0) + (attoseconds > 0 ? 1 : 0))
        }
    }

    func received(_ acknowledgement: Acknowledgement) {
        makeExtra().received = MQTTPublishResult(acknowledgement)
    }

    func takeContinuation() -> Continuation? {
        defer { continuation = nil }
        return continuation
    }

    func complete(_ outcome: Outcome) { takeContinuation()?.resume(returning: outcome) }
}
