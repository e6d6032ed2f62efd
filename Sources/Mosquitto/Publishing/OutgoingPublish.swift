/// A message on its way out, from the call to the acknowledgement.
///
/// `@unchecked Sendable`: the caller sets ``startedAt`` and the properties before it posts the message. From then on
/// the lock of the ``OutgoingQueue`` guards the variables, until the message leaves the queue; afterwards they belong
/// to the one that took the message: the loop's thread for ``Place/taken``, the remover for ``Place/gone``. The lock
/// guards ``place`` for ever.
final class OutgoingPublish: @unchecked Sendable {
    typealias Outcome = Result<MQTTPublishResult, MQTTError>
    typealias Continuation = UnsafeContinuation<Outcome, Never>

    let topic: String
    let payload: [UInt8]
    let qos: MQTTQoS
    let retain: Bool

    /// Where a message is on its way to the loop, and thereby who owns its continuation.
    enum Place {
        /// Not posted yet.
        case new
        /// Without room in the queue.
        case waiting
        case queued
        /// The loop's, until its outcome is told.
        case taken
        /// Refused, or removed from the queue without having been sent.
        case gone
    }
    /// Written by ``OutgoingQueue`` alone, under its lock.
    var place = Place.new

    /// The caller that waits for the outcome; `nil` for an enqueued message, and when the outcome has been told.
    var continuation: Continuation?
    /// When the call began, if somebody measures it.
    var startedAt: Uptime?
    /// The number of the call among those of the client, which is the order of sending.
    var sequence: UInt64 = 0

    /// The neighbours in a ``PublishList``, which alone writes them.
    var previous: Unmanaged<OutgoingPublish>?
    var next: Unmanaged<OutgoingPublish>?
    /// Whether a list has it.
    var isListed = false

    /// Whether the waiting call ended before the message was acknowledged.
    var isCancelled = false
    /// Whether it was sent with the DUP flag.
    var isRepeated = false

    /// Whether the message has a Message Expiry Interval. Quicker than ``expiry``: the size of an instant is known at run time only.
    let isExpiring: Bool

    /// Facts that few messages have: the others are one allocation.
    private final class Extra {
        var properties = MQTTPublishProperties()
        var expiry: ContinuousClock.Instant?
        var received: MQTTPublishResult?
        var renumberings = 0
    }
    private var extra: Extra?

    init(topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        isExpiring = properties.messageExpiryInterval != nil
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

    /// The broker's PUBREC: it owns the message now, and sending it again would duplicate it.
    var received: MQTTPublishResult? {
        get { extra?.received }
        set { makeExtra().received = newValue }
    }

    /// How often it was sent under another packet identifier, since the broker had the first one in use.
    var renumberings: Int {
        get { extra?.renumberings ?? 0 }
        set { makeExtra().renumberings = newValue }
    }

    private func makeExtra() -> Extra {
        let known = extra ?? Extra()
        extra = known
        return known
    }

    /// Bytes that count in the queue.
    var size: Int { topic.utf8.count + payload.count }

    func hasExpired(_ now: ContinuousClock.Instant) -> Bool { expiry.map { $0 <= now } ?? false }

    /// The Message Expiry Interval that is left: the time it waited is taken off, and a second that has begun counts.
    func remainingExpiryInterval(_ now: ContinuousClock.Instant) -> UInt32? {
        expiry.map { expiry in
            let (seconds, attoseconds) = (expiry - now).components
            return UInt32(clamping: max(seconds, 0) + (attoseconds > 0 ? 1 : 0))
        }
    }

    /// Tells the outcome, once. For the owner of the message.
    func complete(_ outcome: Outcome) { takeContinuation()?.resume(returning: outcome) }

    func takeContinuation() -> Continuation? {
        defer { continuation = nil }
        return continuation
    }
}
