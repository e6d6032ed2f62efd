// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The broker behind all connections: sessions, retained messages, routing.
///
/// Confined to the broker's event loop; the extensions hold one kind of packet each.
final class BrokerCore {
    let record: BrokerRecord
    let settings: BrokerSettings
    let loop: any EventLoop

    var sessions: [String: BrokerSession] = [:]
    /// The connection of each client that is online.
    var online: [String: BrokerConnection] = [:]
    var retained: [String: BrokerMessage] = [:]
    /// The end of a session, or a delayed will, by client identifier.
    var sessionTimers: [String: [Scheduled<Void>]] = [:]
    var assignedClientIDs = 0

    /// The handlers below WebSockets, by the number of the connection.
    var inlets: [Int: RawInlet] = [:]

    private let calls: BrokerCalls
    private var gates: [Int: TransportGate] = [:]
    private var connections: [Int: BrokerConnection] = [:]
    private var unflushed: [BrokerConnection] = []
    /// Counts deliveries to shared subscriptions, so that their members take turns.
    private var sharedDeliveries = 0

    init(record: BrokerRecord, settings: BrokerSettings, calls: BrokerCalls, loop: any EventLoop) {
        self.record = record
        self.settings = settings
        self.calls = calls
        self.loop = loop
    }

    /// Runs the calls of the test that wait.
    func carryOutCalls() {
        for call in calls.take() { call(self) }
    }

    // MARK: - Connections

    func opened(_ gate: TransportGate) {
        gates[gate.index] = gate
        record.withState { $0.openConnections += 1 }
    }

    func closed(_ gate: TransportGate) {
        inlets[gate.index] = nil
        if gates.removeValue(forKey: gate.index) != nil {
            record.withState { $0.openConnections -= 1 }
        }
    }

    func opened(_ connection: BrokerConnection) {
        connections[connection.index] = connection
    }

    /// Handles the end of a connection: publishes the will, and keeps or ends the session.
    func ended(_ connection: BrokerConnection) {
        connections[connection.index] = nil
        guard let clientID = connection.clientID, online[clientID] === connection else { return }
        online[clientID] = nil
        let session = sessions[clientID]
        if let will = connection.will {
            publish(will, of: clientID, sessionExpiry: session?.expiry ?? 0)
        }
        guard let session, session.expiry < .max else { return }
        if session.expiry == 0 {
            sessions[clientID] = nil
        } else {
            schedule(.seconds(Int64(session.expiry)), for: clientID) { $0.sessions[clientID] = nil }
        }
    }

    func dropAll() {
        for gate in gates.values { gate.close() }
    }

    func resetAll() {
        for gate in gates.values { gate.reset() }
    }

    /// Sends raw bytes to every client whose CONNECT arrived.
    func inject(_ bytes: [UInt8]) {
        for connection in connections.values where connection.sentConnect {
            connection.send(ByteBuffer(bytes: bytes))
        }
        flush()
    }

    func needsFlush(_ connection: BrokerConnection) {
        unflushed.append(connection)
    }

    /// Flushes each connection once for all bytes written since the last flush.
    func flush() {
        while !unflushed.isEmpty {
            let connections = unflushed
            unflushed = []
            for connection in connections { connection.flush() }
        }
    }

    // MARK: - Routing

    /// Delivers a message to every subscriber, and retains it if asked to.
    func route(_ message: BrokerMessage) {
        record.routed(message)
        if message.retain {
            // MQTT 5.0, 3.3.1.3: an empty payload removes the retained message.
            retained[message.topic] = message.payload.readableBytes == 0 ? nil : message
        }
        let topic = TopicMatching.levels(of: message.topic)
        var shared: [String: [(BrokerSession, BrokerSession.Subscription)]] = [:]
        for session in sessions.values {
            var matching: [BrokerSession.Subscription] = []
            for (filter, subscription) in session.subscriptions
            where TopicMatching.matches(filter: subscription.levels, topic: topic) {
                if subscription.noLocal && session.clientID == message.publisher { continue }
                if subscription.shareGroup == nil {
                    matching.append(subscription)
                } else {
                    shared[filter, default: []].append((session, subscription))
                }
            }
            for group in copies(matching) { deliver(message, to: session, matching: group) }
        }
        for members in shared.values {
            sharedDeliveries += 1
            let ordered = members.sorted { $0.0.clientID < $1.0.clientID }
            let (session, subscription) = ordered[sharedDeliveries % ordered.count]
            deliver(message, to: session, matching: [subscription])
        }
    }

    /// The subscriptions that each copy serves.
    private func copies(_ matching: [BrokerSession.Subscription]) -> [[BrokerSession.Subscription]] {
        if settings.mergesCopies { return [matching] }
        return [matching.filter { $0.identifier == nil }] + matching.filter { $0.identifier != nil }.map { [$0] }
    }

    /// Delivers one copy, with the highest QoS of these subscriptions (MQTT 5.0, 3.3.4).
    func deliver(
        _ message: BrokerMessage,
        to session: BrokerSession,
        matching: [BrokerSession.Subscription],
        isRetained: Bool = false
    ) {
        guard let granted = matching.map(\.qos).max() else { return }
        var copy = message
        copy.qos = min(message.qos, granted)
        // MQTT 5.0, 3.3.1.3: a message that is forwarded on arrival has no RETAIN flag, unless the subscriber asks for
        // the flag.
        copy.retain = isRetained || (message.retain && matching.contains { $0.retainAsPublished })
        for identifier in matching.compactMap(\.identifier) {
            copy.properties.append(
                ReceivedProperty(identifier: PropertyID.subscriptionIdentifier, variable: identifier)
            )
        }
        if copy.qos == 0 {
            guard let connection = online[session.clientID] else { return }
            connection.send(ServerPacket.publish(copy, packetID: 0, dup: false, isV5: connection.isV5))
        } else {
            session.enqueue(copy)
            pump(session)
        }
    }

    /// Sends as many messages as the session's window permits.
    func pump(_ session: BrokerSession) {
        guard let connection = online[session.clientID] else { return }
        while let (packetID, message) = session.nextToSend() {
            connection.send(ServerPacket.publish(message, packetID: packetID, dup: false, isV5: connection.isV5))
        }
    }

    // MARK: - Time

    /// Runs an action later, unless the client returns first.
    func schedule(_ delay: Duration, for clientID: String, _ body: @escaping (BrokerCore) -> Void) {
        let timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            guard let self else { return }
            body(self)
            flush()
        }
        sessionTimers[clientID, default: []].append(timer)
    }

    /// MQTT 5.0, 3.1.3.2.2: the will waits for its delay, but not longer than the session lives.
    private func publish(_ will: Will, of clientID: String, sessionExpiry: UInt32) {
        let delay = min(will.delay, sessionExpiry)
        if delay == 0 {
            route(will.message)
        } else {
            schedule(.seconds(Int64(delay)), for: clientID) { $0.route(will.message) }
        }
    }
}
