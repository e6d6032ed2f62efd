// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Logging

/// Owns the outgoing messages that the loop has taken: those returned to be sent first, those in flight, and those that
/// the kernel has not accepted. Encodes them into packets, and turns the broker's acknowledgements into outcomes. Has
/// no access to the socket; confined to the loop's thread.
///
/// Only the extensions of this type modify its variables.
struct Publisher: ~Copyable {
    struct Configuration: Sendable {
        var version = MQTTVersion.v5_0
        var clientID = ""
        var maximumInFlight = 1_000
        /// True if the broker keeps the session between connections.
        var isPersistent = false
        var queuesQoS0Offline = true
        /// The alias of the client's only topic.
        var topicAlias: UInt16?
        var rate: MQTTPublishRate?
    }

    let configuration: Configuration
    /// The queue between the callers and the loop.
    let queue: OutgoingQueue
    let logger: Logger
    let metrics: ClientMetrics?

    /// Messages returned from a connection or for another packet identifier, sent before those of the queue.
    var pending = PublishQueue()
    /// Messages of QoS 0 whose bytes the kernel has not accepted completely.
    var unsent = UnsentPublishes()
    var inFlight: InFlightPublishes
    /// In-flight publishes still to be resent on this connection.
    var unsentAgain = Deque<UInt16>()

    let identifiers: PacketIdentifiers
    var encoder: PublishEncoder
    /// The chunk of the queue that is being encoded; empty between turns.
    var taken: [OutgoingPublish] = []
    /// The index of the first message in the chunk that is not encoded yet.
    var nextTaken = 0

    /// The properties of this connection's CONNACK.
    var limits: MQTTConnackProperties?
    var aliases = TopicAliases()
    /// Number of messages that may be in flight on this connection.
    var window = 0
    /// Upper bound of the window; lowered when a broker reports overload.
    var maximumInFlight: Int
    /// The sequence number of the last publish sent on this connection.
    var lastSequence: UInt64 = 0
    /// The pace of a client with a limit of its rate.
    let pace: PublishPace?
    /// Number of acknowledgements received since the last call of ``hasProgressed()``.
    var answers = 0

    init(
        _ configuration: Configuration, queue: OutgoingQueue, identifiers: PacketIdentifiers = PacketIdentifiers(),
        logger: Logger, metrics: ClientMetrics? = nil
    ) {
        self.identifiers = identifiers
        inFlight = InFlightPublishes(identifiers)
        self.configuration = configuration
        self.queue = queue
        self.logger = logger
        self.metrics = metrics
        encoder = PublishEncoder(configuration.version)
        maximumInFlight = configuration.maximumInFlight
        pace = configuration.rate.map { PublishPace($0) }
    }

    // MARK: Levels

    /// Number of unfinished publishes: queued, not accepted by the kernel, or not acknowledged.
    var count: Int { queue.length + pending.count + unsent.count + inFlight.count }

    /// True if there is an unfinished publish.
    var hasMessages: Bool { !inFlight.isEmpty || !pending.isEmpty || !unsent.isEmpty || !queue.isEmpty }

    /// True if messages wait to be sent.
    var hasWaiting: Bool { !pending.isEmpty || !queue.isEmpty }

    /// Number of publishes that are lost if the client stops now.
    var lost: Int { count - inFlight.all.count { $0.received != nil } }

    /// Returns true if acknowledgements arrived since the last call.
    mutating func hasProgressed() -> Bool {
        defer { answers = 0 }
        return answers > 0
    }

    // MARK: Connections

    /// Begins a connection. `isResumed`: the broker has the session of the previous connection.
    mutating func connected(_ properties: MQTTConnackProperties, isResumed: Bool) {
        if isResumed {
            identifiers.avoidForeign()
            // Unacknowledged messages are resent in order (MQTT 5.0, sections 4.4 and 4.6).
            unsentAgain = Deque(inFlight.packetIDs)
        } else {
            requeueInFlight()
        }
        window = min(maximumInFlight, Int(properties.receiveMaximum))
        limits = properties
        aliases = TopicAliases(maximum: properties.topicAliasMaximum, fixed: configuration.topicAlias)
        lastSequence = 0
    }

    /// Ends a connection after the kernel has accepted `sent` bytes. Messages with missing bytes cannot have reached
    /// the broker, and are resent before the others.
    mutating func connectionClosed(sent: Int) {
        if unsent.isEmpty { return }
        let publishes = unsent.takeAll(sent: sent)
        for publish in publishes.sent { succeed(publish, .success) }
        pending.putBack(publishes.unsent.filter { !$0.isCancelled })
    }

    /// Ends an attempt or a connection.
    mutating func attemptEnded() {
        limits = nil
        unsentAgain.removeAll()
        if configuration.isPersistent { return }
        requeueInFlight()
        identifiers.restart()
    }

    /// Refuses the messages that do not wait for a connection, if there is none.
    mutating func setOffline(_ isOffline: Bool) {
        var unwanted = queue.setOffline(isOffline)
        if isOffline, !configuration.queuesQoS0Offline {
            unwanted = pending.remove { $0.qos == .atMostOnce } + unwanted
        }
        giveUp(unwanted, OutgoingQueue.notConnected)
    }

    /// Returns unacknowledged messages to the queue, in order, after the broker has lost the session. A message with a
    /// PUBREC is not published again, since that would duplicate it.
    private mutating func requeueInFlight() {
        identifiers.forgetForeign()
        let publishes = inFlight.remove()
        for publish in publishes {
            publish.isRepeated = false
            if let received = publish.received { succeed(publish, received) }
        }
        pending.putBack(publishes.filter { $0.received == nil && !$0.isCancelled })
    }

    /// Reports all outcomes after the client has stopped. A message with a PUBREC counts as published.
    mutating func stop(_ error: MQTTError) {
        let sent = inFlight.remove()
        for publish in sent { if let received = publish.received { succeed(publish, received) } }
        giveUp(sent.filter { $0.received == nil } + pending.takeAll() + queue.close(error), error)
    }
}
