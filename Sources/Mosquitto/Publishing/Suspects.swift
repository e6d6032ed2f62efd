// SPDX-License-Identifier: Apache-2.0

/// Owns the operations that may have made the broker close a connection, with their times, and the verdicts so far. On
/// the next connection it isolates suspects from all other operations. A value without a clock.
struct Suspects {
    typealias Instant = ContinuousClock.Instant

    var suspicion = Suspicion()
    /// The time at which each unanswered SUBSCRIBE and UNSUBSCRIBE was sent.
    private var sentAt: [UInt16: Instant] = [:]
    /// The time at which the first unsent byte was written, if sending can take time.
    private var beganSending: Instant?
    /// Number of bytes received when the last operation was sent.
    private var receivedBeforeOperation = 0
    /// The sequences of the last publishes sent before the last two ticks; publishes up to the older one are old.
    private var oldSequences = (older: UInt64(0), newer: UInt64(0))

    // MARK: Events

    /// Begins a connection, on which suspects are isolated.
    mutating func connected() {
        suspicion.connected()
        oldSequences = (0, 0)
    }

    mutating func connectionEnded() { sentAt = [:] }

    /// Records that a SUBSCRIBE or UNSUBSCRIBE was written after `received` bytes.
    mutating func sent(_ packetID: UInt16, received: Int, now: Instant) {
        sentAt[packetID] = now
        receivedBeforeOperation = received
    }

    /// Records that the broker has answered a SUBSCRIBE or UNSUBSCRIBE.
    mutating func answered(_ packetID: UInt16) { sentAt[packetID] = nil }

    /// Records that the broker has answered an operation. Returns true if it was a suspect.
    mutating func answered(_ operation: @autoclosure () -> Suspicion.Operation) -> Bool {
        if suspicion.isEmpty { return false }
        suspicion.answered(operation())
        return true
    }

    /// Records that publishes are about to be written. `isIdle`: there are no unsent bytes before them.
    mutating func writes(_ count: Int, isIdle: Bool, received: Int) {
        if isIdle { beganSending = count > 1 << 14 ? .now : nil }
        receivedBeforeOperation = received
    }

    /// Records a tick of ``Suspicion/patience``: a publish that is unanswered for long does not cause a close.
    mutating func aged(lastSequence: UInt64) { oldSequences = (oldSequences.newer, lastSequence) }

    /// The sequence up to which publishes were sent long ago.
    var oldSequence: UInt64 { oldSequences.older }

    // MARK: Isolation

    /// True while publishes wait for the answers to filters.
    private func waitsForFilters(_ isConnected: Bool) -> Bool {
        isConnected && (suspicion.hasFilters || !sentAt.isEmpty)
    }

    /// True if the client may subscribe to suspected filters: all packets before were answered.
    var mayAskForFilters: Bool { suspicion.isIsolating && suspicion.hasFilters && sentAt.isEmpty }

    /// Returns the number of publishes that may be in flight. `isConnected`: the connection is not being closed.
    func window(isConnected: Bool) -> Int {
        !suspicion.isIsolating ? .max : waitsForFilters(isConnected) ? 0 : suspicion.allowed
    }

    /// Returns true if a publish may be sent now: a suspect in its turn, any other after all suspects.
    ///
    /// - Parameters:
    ///   - sent: number of publishes in flight that were sent on this connection.
    ///   - inFlight: number of all publishes in flight.
    func permits(_ publish: OutgoingPublish, sent: Int, inFlight: Int, isConnected: Bool) -> Bool {
        guard suspicion.isIsolating else { return true }
        if waitsForFilters(isConnected) { return false }
        if suspicion.contains(.publish(publish)) { return sent < suspicion.allowed }
        // A returned publish that is older than the suspects is sent alone.
        return inFlight == 0
    }

    /// Returns true if a publish that was never sent before may be sent now.
    mutating func permitsOthers(inFlight: Int, isConnected: Bool) -> Bool {
        guard suspicion.isIsolating else { return true }
        guard !waitsForFilters(isConnected), inFlight == 0 else { return false }
        // The remaining suspects were cancelled or have expired.
        suspicion.forgetPublishes()
        return true
    }

    // MARK: The end of a connection

    /// A connection that has ended.
    struct End {
        var error: MQTTError
        /// Number of received bytes.
        var received: Int
        /// True if the received bytes end within a packet.
        var isInMidPacket: Bool
        /// True if all written bytes were handed to the system.
        var isSent: Bool
    }

    /// The operations of a connection that the broker has not answered.
    struct Unanswered {
        var subscriptions: [UInt16: [String]]
        var unsubscriptions: [UInt16: [String]]
        /// The publishes, in the order of sending.
        var publishes: [OutgoingPublish]
    }

    /// Returns the recent operations, filters before publishes, and the convicted ones among them.
    mutating func ended(
        _ end: End, _ unanswered: Unanswered, now: Instant
    ) -> (suspected: [Suspicion.Operation], convicted: [Suspicion.Operation]) {
        let operations = recent(unanswered, now)
        if looksCut(end) { suspicion.acquit() }
        let convicted = suspicion.ended(
            operations, sent: extent(of: operations, end, now), isWordless: end.error.reasonCode == nil)
        return (operations, convicted)
    }

    /// Returns the largest number of filters in an unanswered packet sent within the last second.
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

    /// Number of bytes that may arrive between an operation and the close that it causes.
    private static let afterthought = 4_096

    /// Returns true if the network is the likely cause of a close without a reason: it happened within a packet, or the
    /// broker had sent much since the last operation. A broker that objects to a packet closes when it has read the
    /// packet.
    private func looksCut(_ end: End) -> Bool {
        guard end.error.reasonCode == nil else { return false }
        return end.isInMidPacket || end.received - receivedBeforeOperation > Self.afterthought
    }

    /// Returns the extent to which the operations were sent. A broker that gives a reason has read enough. Of a large
    /// packet the network may have lost the rest: it then counts as incomplete.
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
