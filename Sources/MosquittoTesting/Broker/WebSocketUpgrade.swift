// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// The handler above TLS and below WebSockets: it sends bytes that no other handler has seen. Confined to the broker's
/// event loop.
final class RawInlet: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func send(_ bytes: [UInt8]) { context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
}

/// Answers the requests that are not upgraded. Confined to the broker's event loop.
final class UpgradeRefusal: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let upgrade: ScriptedBroker.WebSocket.Upgrade
    private let gate: TransportGate
    private let inlet: RawInlet
    private let core: BrokerCore

    init(
        _ upgrade: ScriptedBroker.WebSocket.Upgrade, gate: TransportGate, inlet: RawInlet, core: BrokerCore
    ) {
        self.upgrade = upgrade
        self.gate = gate
        self.inlet = inlet
        self.core = core
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        // A request that SwiftNIO found valid has been recorded.
        let isRecorded = core.record.withState { [index = gate.index] in $0.upgrades.contains { $0.connection == index }
        }
        if !isRecorded { core.record.upgrade(head, connection: gate.index) }
        switch upgrade {
        case .accept: answer(426, "Upgrade Required", ["Upgrade": "websocket"], "", context)
        case .refuse(let status, let reason, let headers, let body): answer(status, reason, headers, body, context)
        case .raw(let bytes, let closes):
            inlet.send(bytes)
            if closes { gate.close() }
        case .silent: break
        case .close: gate.close()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The upgrade was refused: the request follows.
        if error as? NIOWebSocketUpgradeError == .unsupportedWebSocketTarget { return }
        core.record.error("connection \(gate.index): \(error)")
        if !(error is NIOWebSocketUpgradeError) { gate.close() }
    }

    private func answer(
        _ status: Int, _ reason: String, _ headers: [String: String], _ body: String, _ context: ChannelHandlerContext
    ) {
        var fields = HTTPHeaders(headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        if fields["content-length"].isEmpty { fields.add(name: "Content-Length", value: "\(body.utf8.count)") }
        if fields["connection"].isEmpty { fields.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: .custom(code: UInt(status), reasonPhrase: reason), headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(promise: nil)
    }
}

extension BrokerCore {
    /// Builds the handlers that take a request for an upgrade, and those after it.
    func addWebSocket(
        _ webSocket: ScriptedBroker.WebSocket, _ upgrade: ScriptedBroker.WebSocket.Upgrade, to channel: any Channel,
        gate: TransportGate, script: ConnectionScript
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let inlet = RawInlet()
        try pipeline.addHandler(inlet)
        inlets[gate.index] = inlet
        let core = NIOLoopBound(self, eventLoop: loop)
        let boundGate = NIOLoopBound(gate, eventLoop: loop)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: 1 << 28,
            shouldUpgrade: { channel, head in
                core.value.record.upgrade(head, connection: boundGate.value.index)
                guard case .accept(let headers) = upgrade else { return channel.eventLoop.makeSucceededFuture(nil) }
                var fields = HTTPHeaders()
                if let name = webSocket.subprotocol { fields.add(name: "Sec-WebSocket-Protocol", value: name) }
                for (name, value) in headers { fields.replaceOrAdd(name: name, value: value) }
                return channel.eventLoop.makeSucceededFuture(fields)
            },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let (core, gate) = (core.value, boundGate.value)
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(
                        WebSocketBridge(index: gate.index, framing: webSocket.framing, record: core.record))
                    try pipeline.addHandler(BrokerConnection(gate: gate, script: script, core: core))
                }
            })
        let refusal = UpgradeRefusal(upgrade, gate: gate, inlet: inlet, core: self)
        let boundRefusal = NIOLoopBound(refusal, eventLoop: loop)
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false,
            withServerUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in
                    context.pipeline.syncOperations.removeHandler(boundRefusal.value, promise: nil)
                }
            ))
        try pipeline.addHandler(refusal)
    }

    /// Sends raw bytes below WebSockets.
    func injectBelowWebSocket(_ bytes: [UInt8]) {
        for inlet in inlets.values { inlet.send(bytes) }
    }
}

extension BrokerRecord {
    func upgrade(_ head: HTTPRequestHead, connection: Int) {
        let received = ScriptedBroker.ReceivedUpgrade(
            method: head.method.rawValue, path: head.uri, headers: head.headers.map { ($0.name, $0.value) },
            connection: connection)
        withState { $0.upgrades.append(received) }
    }

    func frame(_ frame: ScriptedBroker.ReceivedFrame) {
        withState { if frame.opcode >= 8 || $0.recordsPublishes { $0.frames.append(frame) } }
    }
}
