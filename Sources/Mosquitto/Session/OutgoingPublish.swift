/// A message on its way out, from the call to the acknowledgement.
///
/// `@unchecked Sendable`: the caller makes it and hands it over through the outbox, whose lock orders the two; from then on
/// only the loop's thread reads and writes the variables.
final class OutgoingPublish: @unchecked Sendable {
    typealias Outcome = Result<MQTTPublishResult, MQTTError>

    let topic: String
    let payload: [UInt8]
    let qos: MQTTQoS
    let retain: Bool
    let properties: MQTTPublishProperties

    /// How far it has come on its way to the loop. Guarded by the outbox's lock.
    enum Admission { case new, admitted, withdrawn }
    var admission = Admission.new

    /// Who waits for the outcome; `nil` for an enqueued message, and when it has been told. Set before it is admitted, and
    /// the loop's from then on.
    var continuation: UnsafeContinuation<Outcome, Never>?
    /// Whether it counts against the limit of the queue.
    var isEnqueued = false
    /// The order in which messages were handed to the library.
    var sequence: UInt64 = 0
    /// Whether the broker has sent PUBREC: it owns the message now, and sending it again would duplicate it.
    var isReceived = false
    /// Whether the waiting call was cancelled before the message was sent.
    var isCancelled = false

    init(topic: String, payload: [UInt8], qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
    }

    func complete(_ outcome: Outcome) {
        continuation?.resume(returning: outcome)
        continuation = nil
    }
}
