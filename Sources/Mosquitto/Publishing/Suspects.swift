/// Owns what may have made the broker end a connection: the operations under way with their times, and the verdicts so
/// far. Keeps suspects apart from all others on the next connection. A value without a clock.
struct Suspects {
    typealias Instant = ContinuousClock.Instant

    var suspicion = Suspicion()
    /// The time at which each SUBSCRIBE and UNSUBSCRIBE under way was sent.
    private var sentAt: [UInt16: Instant] = [:]
    /// The time at which the first of the unsent bytes was written, where sending can take time.
    private var beganSending: Instant?
    /// Bytes that had come when an operation was sent last.
    private var receivedBeforeOperation = 0
    /// The last publishes that were sent before the last two ticks: those up to the older one are old.
    private var oldSequences = (older: UInt64(0), newer: UInt64(0))

    // MARK: Events

    /// A connection is established: suspects are kept apart on it.
    mutating func connected() {
        suspicion.connected()
        oldSequences = (0, 0)
    }

    mutating func connectionEnded() { sentAt = [:] }

    /// A SUBSCRIBE or UNSUBSCRIBE was written, after so many bytes had come.
    mutating func sent(_ packetID: UInt16, received: Int, now: Instant) {
        sentAt[packetID] = now
        receivedBeforeOperation = received
    }

    /// The broker has answered a SUBSCRIBE or UNSUBSCRIBE.
    mutating func answered(_ packetID: UInt16) { sentAt[packetID] = nil }

    /// The broker has answered an operation. Returns whether that concerns a suspicion.
    mutating func answered(_ operation: @autoclosure () -> Suspicion.Operation) -> Bool {
        if suspicion.isEmpty { return false }
        suspicion.answered(operation())
        return true
    }

    /// Publishes are about to be written. `isIdle`: nothing before them is unsent.
    mutating func writes(_ count: Int, isIdle: Bool, received: Int) {
        if isIdle { beganSending = count > 1 << 14 ? .now : nil }
        receivedBeforeOperation = received
    }

    /// A time of ``Suspicion/patience`` has passed: a publish that is unanswered for long is not why a connection ends.
    mutating func aged(lastSequence: UInt64) { oldSequences = (oldSequences.newer, lastSequence) }

    /// Publishes up to this one were sent long ago.
    var oldSequence: UInt64 { oldSequences.older }

    // MARK: Isolation

    /// True while publishes wait for the answers to filters.
    private func waitsForFilters(_ isConnected: Bool) -> Bool {
        isConnected && (suspicion.hasFilters || !sentAt.isEmpty)
    }

    /// True if suspected filters may be asked for: all packets before have been answered.
    var mayAskForFilters: Bool { suspicion.isIsolating && suspicion.hasFilters && sentAt.isEmpty }

    /// Returns the number of publishes that suspicion lets be in flight. `isConnected`: the connection is not being
    /// ended.
    func window(isConnected: Bool) -> Int {
        !suspicion.isIsolating ? .max : waitsForFilters(isConnected) ? 0 : suspicion.allowed
    }

    /// Returns whether suspicion lets a publish be sent now: a suspect in its turn, any other after all suspects.
    ///
    /// - Parameters:
    ///   - sent: the number of publishes in flight that were sent on this connection.
    ///   - inFlight: the number of all publishes in flight.
    func permits(_ publish: OutgoingPublish, sent: Int, inFlight: Int, isConnected: Bool) -> Bool {
        guard suspicion.isIsolating else { return true }
        if waitsForFilters(isConnected) { return false }
        if suspicion.contains(.publish(publish)) { return sent < suspicion.allowed }
        // One that was put back, and is older than the suspects: alone.
        return inFlight == 0
    }

    /// Returns whether a publish that was never sent before may be sent now.
    mutating func permitsOthers(inFlight: Int, isConnected: Bool) -> Bool {
        guard suspicion.isIsolating else { return true }
        guard !waitsForFilters(isConnected), inFlight == 0 else { return false }
        // The suspects that are left were cancelled, or have expired.
        suspicion.forgetPublishes()
        return true
    }

    // MARK: The end of a connection

    /// A connection that has ended.
    struct End {
        var error: MQTTError
        /// Bytes that came.
        var received: Int
        /// True if the bytes that came end within a packet.
        var isInMidPacket: Bool
        /// True if everything that was written has been handed to the system.
        var isSent: Bool
    }

    /// The operations of a connection that the broker has not answered.
    struct Unanswered {
        var subscriptions: [UInt16: [String]]
        var unsubscriptions: [UInt16: [String]]
        /// In the order in which they were sent.
        var publishes: [OutgoingPublish]
    }

    /// Returns the operations that were sent not long ago, filters before publishes, and of these the convicted ones.
    mutating func ended(
        _ end: End, _ unanswered: Unanswered, now: Instant
    ) -> (suspected: [Suspicion.Operation], convicted: [Suspicion.Operation]) {
        let operations = recent(unanswered, now)
        if looksCut(end) { suspicion.acquit() }
        let convicted = suspicion.ended(
            operations, sent: extent(of: operations, end, now), isWordless: end.error.reasonCode == nil)
        return (operations, convicted)
    }

    /// Returns the largest number of filters in a packet that was sent within the last second, and not answered.
    func mostFilters(in packets: [UInt16: [String]], now: Instant) -> Int {
        packets.lazy.filter { isRecent($0.key, .seconds(1), now) }.map(\.value.count).max() ?? 0
    }

    private func isRecent(_ packetID: UInt16, _ time: Duration, _ now: Instant) -> Bool {
        sentAt[packetID].map { now - $0 < time } ?? false
    }

    private func recent(_ unanswered: Unanswered, _ now: Instant) -> [Suspicion.Operation] {
        func filters(_ packets: [UInt16: [String]]) -> [String] {
            packets.filter { isRecent($0.key, Suspicion.patience, now) }.sorted { $0.key < $1.key }.flatMap(\.value)
        }
        return filters(unanswered.subscriptions).map { .subscription($0) }
            + filters(unanswered.unsubscriptions).map { .unsubscription($0) }
            + unanswered.publishes.map { .publish($0) }
    }

    private static let largePayload = 1_024

    /// Bytes that may come between an operation and the close that it causes.
    private static let afterthought = 4_096

    /// Returns whether the network is the likely reason of an end without a word: it came within a packet, or the
    /// broker had gone on sending for long after the last operation. A broker that objects closes when it has read the
    /// packet.
    private func looksCut(_ end: End) -> Bool {
        guard end.error.reasonCode == nil else { return false }
        return end.isInMidPacket || end.received - receivedBeforeOperation > Self.afterthought
    }

    /// A broker that names a reason has read enough. Of a large packet a network may have lost the rest: it is as one
    /// that was not sent whole.
    private func extent(of operations: [Suspicion.Operation], _ end: End, _ now: Instant) -> Suspicion.Extent {
        if end.error.reasonCode != nil { return .whole }
        if looksCut(end) { return .delayed }
        if end.isSent {
            guard operations.count == 1, case .publish(let identity)? = operations.first else { return .whole }
            return identity.publish.payload.count > Self.largePayload ? .begun : .whole
        }
        return beganSending.map { now - $0 < .seconds(2) } ?? false ? .begun : .delayed
    }
}
