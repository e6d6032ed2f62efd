// SPDX-License-Identifier: Apache-2.0

/// An outgoing message, from the publish call to the acknowledgement.
///
/// `@unchecked Sendable`: the caller sets ``startedAt`` and the properties before it posts the message. From then on
/// the lock of the ``OutgoingQueue`` guards the variables, until the message leaves the queue; afterwards their owner
/// is the one that removed the message: the loop's thread for ``Place/taken``, the remover for ``Place/gone``. The lock
/// always guards ``place``.
final class OutgoingPublish: @unchecked Sendable {
    typealias Outcome = Result<MQTTPublishResult, MQTTError>
    typealias Continuation = UnsafeContinuation<Outcome, Never>

    let topic: String
    let payload: [UInt8]
    let qos: MQTTQoS
    let retain: Bool

    /// The place of a message between its caller and the loop, which determines the owner of its continuation.
    enum Place {
        /// Not posted yet.
        case new
        /// Waiting for room in the queue.
        case waiting
        case queued
        /// Owned by the loop, until its outcome is reported.
        case taken
        /// Refused, or removed from the queue without having been sent.
        case gone
    }
    /// Written by ``OutgoingQueue`` alone, under its lock.
    var place = Place.new

    /// The caller that waits for the outcome; `nil` for an enqueued message, and after the outcome was reported.
    var continuation: Continuation?
    /// The time at which the call began, if metrics are on.
    var startedAt: Uptime?
    /// The number of the call within the client, which is the order of sending.
    var sequence: UInt64 = 0

    /// The neighbours in a ``PublishList``, which alone modifies them.
    var previous: Unmanaged<OutgoingPublish>?
    var next: Unmanaged<OutgoingPublish>?
    /// True while the message is in a list.
    var isListed = false

    /// True if the waiting call ended before the acknowledgement.
    var isCancelled = false
    /// True if the message was sent with the DUP flag.
    var isRepeated = false

    /// True if the message has a Message Expiry Interval. Faster than ``expiry``, since the size of an instant is known
    /// only at run time.
    let isExpiring: Bool

    /// The fields that few messages use, so that the other messages are a single allocation.
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

    /// The properties. A span adds its context before the message is posted.
    var properties: MQTTPublishProperties {
        get { extra?.properties ?? .init() }
        set { makeExtra().properties = newValue }
    }

    /// The time after which the message must not be sent (MQTT 5.0, section 3.3.2.3.3).
    var expiry: ContinuousClock.Instant? { extra?.expiry }

    /// The result of the broker's PUBREC, after which the broker owns the message, and resending would duplicate it.
    var received: MQTTPublishResult? {
        get { extra?.received }
        set { makeExtra().received = newValue }
    }

    /// Number of times the message was sent with another packet identifier because the broker had the previous one in
    /// use.
    var renumberings: Int {
        get { extra?.renumberings ?? 0 }
        set { makeExtra().renumberings = newValue }
    }

    private func makeExtra() -> Extra {
        let known = extra ?? Extra()
        extra = known
        return known
    }

    /// The memory that counts in the queue, in bytes.
    var memorySize: Int {
        let size = Self.ownSize + MemorySize.of(topic: topic, payload: payload)
        return hasProperties ? size + MemorySize.of(properties) : size
    }

    /// The object itself, with its place in the queue.
    static let ownSize = 160

    func hasExpired(_ now: ContinuousClock.Instant) -> Bool { expiry.map { $0 <= now } ?? false }

    /// Returns the remaining Message Expiry Interval: the original less the waiting time, with a started second counted
    /// in full.
    func remainingExpiryInterval(_ now: ContinuousClock.Instant) -> UInt32? {
        expiry.map { expiry in
            let (seconds, attoseconds) = (expiry - now).components
            return UInt32(clamping: max(seconds, 0) + (attoseconds > 0 ? 1 : 0))
        }
    }

    /// Reports the outcome, once. Called by the owner of the message only.
    func complete(_ outcome: Outcome) { takeContinuation()?.resume(returning: outcome) }

    func takeContinuation() -> Continuation? {
        defer { continuation = nil }
        return continuation
    }
}
