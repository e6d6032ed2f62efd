// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOTLS

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The top handler of a connection: it cuts the byte stream into packets, plays the scripts that concern CONNECT and
/// hands everything else to the broker.
///
/// Confined to the broker's event loop.
final class BrokerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case awaitingConnect
        case serving
        /// True after the last action of the script: packets are recorded, not answered.
        case mute
        case closed
    }

    let index: Int
    let script: ConnectionScript
    /// Set by CONNECT.
    private(set) var level: UInt8 = 4
    /// Set once the broker accepted CONNECT; the assigned one if the client sent none.
    var clientID: String?
    /// The will, until the client sends DISCONNECT.
    var will: Will?
    /// The protocol that the client and the broker have agreed on by ALPN.
    private(set) var applicationProtocol: String?
    /// The memory of a platform about this connection.
    var platformState = PlatformState()
    /// The date at which the client's credentials expire, by the rules of a platform.
    var credentialExpiry: Date?
    /// MQTT 5.0, 3.3.2.3.4: topic aliases live as long as the connection.
    var topicAliases: [UInt32: String] = [:]

    private let core: BrokerCore
    private let gate: TransportGate
    private var context: ChannelHandlerContext?
    private var inbound = ByteBuffer()
    private var phase = Phase.awaitingConnect
    private var timers: [Scheduled<Void>] = []
    private var hasUnflushedWrites = false
    private var hasWithheld = false
    /// Packets that the script leaves unanswered.
    private var unanswered = 0

    var isV5: Bool { level >= 5 }
    var sentConnect: Bool { phase != .awaitingConnect && phase != .closed }

    init(gate: TransportGate, script: ConnectionScript, core: BrokerCore) {
        index = gate.index
        self.gate = gate
        self.script = script
        self.core = core
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        core.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        core.record.withState { [count = bytes.readableBytes] in $0.applicationBytes += count }
        inbound.writeBuffer(&bytes)
        // SwiftNIO reads sockets before it runs waiting tasks, and these bytes may be an answer to an earlier call.
        core.carryOutCalls()
        do {
            while phase != .closed, let frame = try MQTTFrame.next(from: &inbound) {
                core.record.packet(frame, connection: index)
                try receive(frame)
            }
            inbound.discardReadBytes()
        } catch {
            core.record.error("connection \(index): \(error)")
            abort()
        }
        core.flush()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent { applicationProtocol = negotiated }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Before CONNECT, the error is a failed TLS handshake. Later, the client has left without close_notify, which
        // is not a violation.
        if phase == .awaitingConnect { core.record.error("connection \(index): \(error)") }
        abort()
    }

    /// Queues bytes; ``BrokerCore/flush()`` sends them.
    func send(_ packet: ByteBuffer) {
        guard phase != .closed, let context else { return }
        context.write(wrapOutboundOut(packet), promise: nil)
        if !hasUnflushedWrites {
            hasUnflushedWrites = true
            core.needsFlush(self)
        }
    }

    func flush() {
        hasUnflushedWrites = false
        context?.flush()
    }

    /// Sends queued bytes and close_notify, and closes.
    func close() {
        flush()
        let context = context
        ended()
        context?.close(promise: nil)
    }

    /// Closes without close_notify.
    func abort() {
        ended()
        gate.close()
    }

    /// Sends DISCONNECT if the protocol has it, and closes.
    func disconnect(reasonCode: UInt8, properties: [UInt8] = []) {
        if isV5 { send(ServerPacket.disconnect(reasonCode: reasonCode, properties: properties)) }
        close()
    }

    /// The broker answered CONNECT with success: starts the script's countdown.
    func accepted() {
        phase = .serving
        switch script {
        case .serveThenClose(let after):
            schedule(after: after) { $0.close() }
        case .serveThenDisconnect(let reasonCode, let properties, let after):
            schedule(after: after) { $0.disconnect(reasonCode: reasonCode, properties: properties) }
        default:
            break
        }
    }

    /// Returns true if the script lets the broker acknowledge the next QoS 1 message.
    func mayAcknowledge() -> Bool {
        if script != .withholdFirstAcknowledgement || hasWithheld { return true }
        hasWithheld = true
        return false
    }

    /// Runs `body` after the delay, unless the connection ends first.
    func schedule(after delay: Duration, _ body: @escaping (BrokerConnection) -> Void) {
        guard let loop = context?.eventLoop.assumeIsolated() else { return }
        timers.append(
            loop.scheduleTask(in: TimeAmount(delay)) { [weak self] in
                guard let self, phase != .closed else { return }
                body(self)
                core.flush()
            }
        )
    }

    private func receive(_ frame: MQTTFrame) throws {
        if phase == .mute { return }
        let packet = try ClientPacket(frame, level: level)
        guard phase == .awaitingConnect else {
            if case .connect = packet { throw MQTTCodecError("a second CONNECT") }
            if case .disconnectOn(let type, let count, let reasonCode) = script, frame.type == type {
                unanswered += 1
                if unanswered == count { disconnect(reasonCode: reasonCode) }
                return
            }
            if let objection = core.settings.objections.first(where: { $0.concerns(packet, on: self) }) {
                return object(objection)
            }
            try core.receive(packet, from: self)
            return
        }
        guard case .connect(let connect) = packet else {
            throw MQTTCodecError("packet type \(frame.header >> 4) before CONNECT")
        }
        level = connect.level
        phase = .mute
        core.record.connect(connect, connection: index)
        switch script {
        case .silentAfterConnect:
            break
        case .closeAfterConnect:
            close()
        case .refuse(let code, let closes):
            send(ServerPacket.connack(sessionPresent: false, code: code, isV5: isV5))
            if closes { close() }
        case .reply(let bytes, let closes):
            send(ByteBuffer(bytes: bytes))
            if closes { close() }
        default:
            core.connect(connect, on: self)
        }
    }

    /// Ends the connection as an objection demands.
    private func object(_ objection: ScriptedBroker.Objection) {
        switch objection.ending {
        case .close: close()
        case .closeWithoutAnswers: abort()
        case .disconnect(let reasonCode): disconnect(reasonCode: reasonCode)
        }
    }

    private func ended() {
        guard phase != .closed else { return }
        phase = .closed
        for timer in timers { timer.cancel() }
        timers = []
        core.ended(self)
    }
}
