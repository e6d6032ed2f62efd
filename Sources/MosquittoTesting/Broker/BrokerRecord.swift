// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// Everything that a broker saw, written by its event loop and read by tests from any thread.
final class BrokerRecord: Sendable {
    struct State {
        var connects: [ReceivedConnect] = []
        var packets: [ReceivedPacket] = []
        var disconnects: [UInt8?] = []
        var publishes: [ReceivedPublish] = []
        var routed: [ReceivedPublish] = []
        var errors: [String] = []
        var publishCount = 0
        var routedCount = 0
        var acceptTimes: [ContinuousClock.Instant] = []
        var openConnections = 0
        var applicationBytes = 0
        var recordsPublishes = true
        var upgrades: [ScriptedBroker.ReceivedUpgrade] = []
        var frames: [ScriptedBroker.ReceivedFrame] = []
        var platformRefusals: [String] = []
    }

    private let state = Mutex(State())

    /// Reads or changes the record. Appending to an array here is amortised O(1) as long as no reader holds a copy.
    func withState<R: Sendable>(_ body: (inout State) -> R) -> R {
        state.withLock { body(&$0) }
    }

    func packet(_ frame: MQTTFrame, connection: Int) {
        state.withLock { state in
            if !state.recordsPublishes, frame.isPartOfPublishing { return }
            state.packets.append(
                ReceivedPacket(
                    type: frame.type,
                    flags: frame.flags,
                    bytes: Array(frame.packet.readableBytesView),
                    connection: connection
                )
            )
        }
    }

    func publish(_ packet: PublishPacket, clientID: String) {
        state.withLock { state in
            state.publishCount += 1
            if state.recordsPublishes {
                state.publishes.append(ReceivedPublish(packet, clientID: clientID))
            }
        }
    }

    func routed(_ message: BrokerMessage) {
        state.withLock { state in
            state.routedCount += 1
            if state.recordsPublishes {
                state.routed.append(ReceivedPublish(message))
            }
        }
    }

    func connect(_ packet: ConnectPacket, connection: Int) {
        let received = ReceivedConnect(
            clientID: packet.clientID,
            username: packet.username,
            password: packet.password.map { String(decoding: $0, as: UTF8.self) },
            cleanStart: packet.cleanStart,
            keepAlive: packet.keepAlive,
            protocolLevel: packet.level,
            willTopic: packet.will?.message.topic,
            willPayload: packet.will.map { Array($0.message.payload.readableBytesView) },
            sessionExpiry: packet.properties.integer(PropertyID.sessionExpiryInterval),
            properties: packet.properties,
            connection: connection,
            at: .now
        )
        state.withLock { $0.connects.append(received) }
    }

    func error(_ text: String) {
        state.withLock { $0.errors.append(text) }
    }
}

extension ReceivedPublish {
    fileprivate init(_ packet: PublishPacket, clientID: String) {
        self.init(
            topic: packet.topic,
            payload: Array(packet.payload.readableBytesView),
            qos: packet.qos,
            retain: packet.retain,
            dup: packet.dup,
            clientID: clientID,
            properties: packet.properties
        )
    }

    fileprivate init(_ message: BrokerMessage) {
        self.init(
            topic: message.topic,
            payload: Array(message.payload.readableBytesView),
            qos: message.qos,
            retain: message.retain,
            dup: false,
            clientID: message.publisher ?? "",
            properties: message.properties
        )
    }
}
