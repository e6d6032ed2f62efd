// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// A client that connects and receives ten messages, with one byte changed on the way. The broker's stream then ends,
/// so that a reader that waits for the rest of a changed length ends too.
struct FlipExperiment: Sendable {
    static let topics = (0..<10).map { "message/\($0)" }

    /// The bytes of a record that are its length.
    static let recordLength: Set<Int> = [3, 4]
    /// The bytes of a length, also of that of a message in a handshake record, which may not be encrypted.
    static let lengths = recordLength.union([6, 7, 8])

    let broker: ScriptedBroker
    let wire: Wire
    /// The folder of the Unix sockets: thousands of TCP connections would use up the ports of other tests. WebSockets go
    /// over TCP.
    private let folder: TemporaryDirectory
    /// The records that the broker sends when no byte is changed.
    let records: [TCPProxy.TLSRecord]
    /// The number of records up to the CONNACK's last one.
    private let connected: Int
    /// The order of the messages, which is the broker's choice.
    let order: [String]

    struct Outcome: Sendable {
        var delivered: [String] = []
        var error: MQTTError?
        var wasConnected = false
        var hasFlipped = false
        var time = Duration.zero
    }

    /// Runs the client once with nothing changed.
    init(_ wire: Wire) async throws {
        let folder = try TemporaryDirectory()
        let path = wire == .wss ? nil : folder.path + "/broker.sock"
        let broker: ScriptedBroker
        if let path {
            broker = try await ScriptedBroker.start(unixSocket: path, tls: TestTLS.identity)
        } else {
            broker = try await ScriptedBroker.start(tls: TestTLS.identity, webSocket: wire.webSocket)
        }
        for topic in Self.topics { broker.publish(topic: topic, payload: "payload of \(topic)", retain: true) }
        self.broker = broker
        self.wire = wire
        self.folder = folder
        let proxy = try Self.makeProxy("measure", to: broker, folder, isUnix: path != nil, .init(observesRecords: true))
        (connected, records, order) = try await withRunningClient(configuration(of: proxy, wire)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let connected = proxy[.toClient].records.count
            return try await client.subscribe(to: "message/#") { messages in
                var order: [String] = []
                for await message in messages {
                    order.append(message.topic)
                    if order.count == Self.topics.count { break }
                }
                return (connected, proxy[.toClient].records, order)
            }
        }
    }

    /// The first record of a message. Nothing follows the messages.
    var firstMessage: Int { connected + recordsOfPacket }
    /// The first record of the SUBACK.
    var suback: Int { connected }
    /// The first record of the CONNACK.
    var connack: Int { connected - recordsOfPacket }

    /// One record, or two: of a frame's header and of its payload. The SUBACK and the messages follow the CONNACK.
    private var recordsOfPacket: Int { (records.count - connected) / (Self.topics.count + 1) }

    /// The number of messages whose records all precede this one.
    func messages(before record: Int) -> Int { max(0, record - firstMessage) / recordsOfPacket }

    /// Every byte that the broker sends.
    var addresses: [TCPProxy.Position] {
        records.indices.flatMap { record in
            (0..<records[record].length).map { TCPProxy.Position(record: record, byte: $0) }
        }
    }

    /// Starts a proxy in front of the broker, with a unique name for its socket.
    func makeProxy(_ name: String, _ plan: TCPProxy.Plan = .init()) throws -> TCPProxy {
        try Self.makeProxy(name, to: broker, folder, isUnix: wire != .wss, plan)
    }

    private static func makeProxy(
        _ name: String, to broker: ScriptedBroker, _ folder: TemporaryDirectory, isUnix: Bool, _ plan: TCPProxy.Plan
    ) throws -> TCPProxy {
        if !isUnix { return try TCPProxy(to: broker.port, plan: plan) }
        return try TCPProxy(
            to: .unixSocket(folder.path + "/broker.sock"), at: "\(folder.path)/\(name).sock", plan: plan)
    }

    func run(
        _ proxy: TCPProxy, _ flip: TCPProxy.Flip?,
        on loop: MosquittoEventLoop = MosquittoEventLoop(name: "data-path")
    ) async throws -> Outcome {
        proxy.setPlan(.init(flip: flip, end: .init(record: records.count), observesRecords: true))
        var configuration = configuration(of: proxy, wire)
        // A length that was changed may have to be waited for; nothing else may.
        let limit = Duration.seconds(flip.map { Self.lengths.contains($0.position.byte) } == true ? 1 : 8)
        configuration.timeouts.tlsHandshake = limit
        configuration.timeouts.upgrade = limit
        configuration.timeouts.connack = limit
        let start = ContinuousClock.now
        let client = MQTTClient(configuration, eventLoop: loop, logger: quiet)
        let log = EventLog(client)
        try await client.start()
        var outcome = Outcome()
        do {
            outcome.delivered = try await client.subscribe(to: "message/#") { messages in
                var delivered: [String] = []
                for await message in messages {
                    let isAsSent = message.payloadString == "payload of \(message.topic)"
                    delivered.append(isAsSent ? message.topic : "damaged: \(message.topic) \(message.payloadString)")
                }
                return delivered
            }
        } catch is MQTTError {
            // The same error ends the client.
        }
        // The client ends by itself: nothing here shuts it down before.
        _ = await log.wait(timeout: .seconds(60)) { $0.stopped != nil }
        outcome.time = ContinuousClock.now - start
        outcome.error = await log.terminalError
        outcome.wasConnected = await !log.connections.isEmpty
        try? await client.shutdown()
        _ = await eventually { !proxy.isConnected }
        outcome.hasFlipped = proxy.hasFlipped
        return outcome
    }
}
