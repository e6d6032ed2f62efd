import DequeModule
import Logging

/// Owns the messages on their way out: those put back, those in flight, and those the kernel has not taken. Turns them
/// into packets, and the broker's acknowledgements into outcomes. Knows no socket; confined to the loop's thread.
///
/// Its variables are changed by the extensions of this type alone.
struct Publisher: ~Copyable {
    struct Configuration: Sendable {
        var version = MQTTVersion.v5_0
        var clientID = ""
        var maximumInFlight = 1_000
        /// True if the broker keeps the session between connections.
        var isPersistent = false
        var queuesQoS0Offline = true
    }

    let configuration: Configuration
    /// Messages between the callers and the loop.
    let queue: OutgoingQueue
    let logger: Logger
    let metrics: ClientMetrics?

    /// Messages that were put back after a connection: they are sent before those of the queue.
    var pending = PublishQueue()
    /// Messages of QoS 0 of which the kernel has not taken all bytes.
    var unsent = UnsentPublishes()
    var inFlight = InFlightPublishes()
    /// In-flight messages still to be sent again on this connection.
    var unsentAgain = Deque<UInt16>()

    var lastPacketID: UInt16 = 0
    /// Packet identifiers that an earlier process has left in use at the broker.
    var foreignPacketIDs: Set<UInt16> = []
    /// Packet identifiers of SUBSCRIBE and UNSUBSCRIBE under way.
    var reservedPacketIDs: Set<UInt16> = []

    var encoder: PublishEncoder
    /// The chunk of the queue that is being encoded; empty between turns.
    var taken: [OutgoingPublish] = []
    /// The index of the first message of the chunk that is not encoded.
    var nextTaken = 0

    /// The CONNACK's properties on this connection.
    var limits: MQTTConnackProperties?
    var aliases = TopicAliases()
    /// The number of messages that may be in flight on this connection.
    var window = 0
    /// Upper bound of the window: less than configured after the broker had too much.
    var maximumInFlight: Int
    /// The sequence of the publish that was sent last on this connection.
    var lastSequence: UInt64 = 0
    /// Acknowledgements that came since the last call of ``hasProgressed()``.
    var answers = 0

    init(_ configuration: Configuration, queue: OutgoingQueue, logger: Logger, metrics: ClientMetrics? = nil) {
        self.configuration = configuration
        self.queue = queue
        self.logger = logger
        self.metrics = metrics
        encoder = PublishEncoder(configuration.version)
        maximumInFlight = configuration.maximumInFlight
    }

    // MARK: Levels

    /// The number of publishes that have not come to their end: queued, not taken by the kernel, or not acknowledged.
    var count: Int { queue.length + pending.count + unsent.count + inFlight.count }

    /// True if there is any such publish.
    var hasMessages: Bool { !inFlight.isEmpty || !pending.isEmpty || !unsent.isEmpty || !queue.isEmpty }

    /// True if messages wait to be sent.
    var hasWaiting: Bool { !pending.isEmpty || !queue.isEmpty }

    /// The number of publishes that a client which ends now has not brought to the broker.
    var lost: Int { count - inFlight.all.count { $0.received != nil } }

    /// Returns whether acknowledgements came since the last call.
    mutating func hasProgressed() -> Bool {
        defer { answers = 0 }
        return answers > 0
    }

    // MARK: Connections

    /// A connection is established. `isResumed`: the broker has the session of the connection before.
    mutating func connected(_ properties: MQTTConnackProperties, isResumed: Bool) {
        if isResumed {
            avoidForeignPacketIDs()
            // What is not acknowledged is sent again, in its order (MQTT 5.0, sections 4.4 and 4.6).
            unsentAgain = Deque(inFlight.packetIDs)
        } else {
            requeueInFlight()
        }
        window = min(maximumInFlight, Int(properties.receiveMaximum))
        limits = properties
        aliases = TopicAliases(maximum: properties.topicAliasMaximum)
        lastSequence = 0
    }

    /// The connection has ended, after the kernel took so many bytes. Messages of which bytes are missing cannot have
    /// reached the broker, and are sent again before the others.
    mutating func connectionClosed(sent: Int) {
        if unsent.isEmpty { return }
        let publishes = unsent.takeAll(sent: sent)
        for publish in publishes.sent { succeed(publish, .success) }
        pending.putBack(publishes.unsent.filter { !$0.isCancelled })
    }

    /// An attempt or a connection has ended.
    mutating func attemptEnded() {
        limits = nil
        unsentAgain.removeAll()
        reservedPacketIDs.removeAll()
        if configuration.isPersistent { return }
        requeueInFlight()
        lastPacketID = 0
    }

    /// Refuses the messages that do not wait for a connection, if there is none.
    mutating func setOffline(_ isOffline: Bool) {
        var unwanted = queue.setOffline(isOffline)
        if isOffline, !configuration.queuesQoS0Offline {
            unwanted = pending.remove { $0.qos == .atMostOnce } + unwanted
        }
        giveUp(unwanted, OutgoingQueue.notConnected)
    }

    /// The session is gone: publishes messages that were not acknowledged anew, in their order. A message that the
    /// broker has taken over with PUBREC would be a duplicate.
    private mutating func requeueInFlight() {
        foreignPacketIDs.removeAll()
        let publishes = inFlight.remove()
        for publish in publishes {
            publish.isRepeated = false
            if let received = publish.received { succeed(publish, received) }
        }
        pending.putBack(publishes.filter { $0.received == nil && !$0.isCancelled })
    }

    /// The client has stopped. A message that the broker has taken over with PUBREC is published.
    mutating func stop(_ error: MQTTError) {
        let sent = inFlight.remove()
        for publish in sent { if let received = publish.received { succeed(publish, received) } }
        giveUp(sent.filter { $0.received == nil } + pending.takeAll() + queue.close(error), error)
    }

    // MARK: Packet identifiers

    /// Returns a packet identifier that is not in use (section 2.2.1).
    mutating func makePacketID() throws(MQTTError) -> UInt16 {
        for _ in 0..<UInt16.max where !isInUse(countPacketID()) { return lastPacketID }
        throw MQTTError(.system, "all 65535 packet identifiers are in use", phase: .connected)
    }

    /// Messages of QoS 0 have none, and count, as they do for libmosquitto.
    mutating func countPacketID() -> UInt16 {
        lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        return lastPacketID
    }

    /// The session is resumed, and this client has sent nothing in it: an earlier process has, and may have left
    /// identifiers in use, low ones more likely than others. A broker would take a new message of QoS 2 under one of
    /// them for a repetition (section 4.3.3).
    private mutating func avoidForeignPacketIDs() {
        if lastPacketID == 0 { lastPacketID = .random(in: 1..<(.max)) }
    }

    private func isInUse(_ packetID: UInt16) -> Bool {
        inFlight[packetID] != nil || reservedPacketIDs.contains(packetID) || foreignPacketIDs.contains(packetID)
    }
}
