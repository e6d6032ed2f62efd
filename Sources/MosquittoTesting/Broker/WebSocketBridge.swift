// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOWebSocket

/// The handler between WebSocket frames and the bytes of MQTT. Confined to the broker's event loop.
final class WebSocketBridge: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    private let index: Int
    private let framing: ScriptedBroker.WebSocket.Framing
    private let record: BrokerRecord
    /// True between the first and the last fragment of a message.
    private var isInMessage = false
    private var hasSentClose = false

    init(index: Int, framing: ScriptedBroker.WebSocket.Framing, record: BrokerRecord) {
        self.index = index
        self.framing = framing
        self.record = record
    }

    // MARK: - Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        let payload = frame.unmaskedData
        note(frame, payload)
        switch frame.opcode {
        case .binary, .continuation:
            // RFC 6455, section 5.4: a message is whole before the next one begins.
            if (frame.opcode == .continuation) != isInMessage { return violate("a fragment out of order", context) }
            isInMessage = !frame.fin
            context.fireChannelRead(wrapInboundOut(payload))
        case .ping:
            send(WebSocketFrame(fin: true, opcode: .pong, data: payload), context)
            context.flush()
        case .connectionClose:
            if !hasSentClose {
                hasSentClose = true
                send(WebSocketFrame(fin: true, opcode: .connectionClose, data: payload), context)
            }
            context.flush()
            context.close(promise: nil)
        case .pong: break
        default: violate("opcode \(frame.opcode)", context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // SwiftNIO answers a frame that it cannot parse with a close frame.
        if error is NIOWebSocketError { record.error("connection \(index): \(error)") }
        context.fireErrorCaught(error)
    }

    private func note(_ frame: WebSocketFrame, _ payload: ByteBuffer) {
        let opcode = UInt8(webSocketOpcode: frame.opcode)
        let isControl = opcode >= 8
        record.frame(
            .init(
                opcode: opcode, length: payload.readableBytes, isFinal: frame.fin, isMasked: frame.maskKey != nil,
                control: isControl ? Array(payload.readableBytesView) : [], connection: index))
        // RFC 6455, section 5.1. MQTT 5.0, section 6: text frames are not permitted.
        if frame.maskKey == nil { record.error("connection \(index): a frame without a mask") }
        if frame.rsv1 || frame.rsv2 || frame.rsv3 { record.error("connection \(index): a reserved bit is set") }
    }

    private func violate(_ what: String, _ context: ChannelHandlerContext) {
        record.error("connection \(index): \(what)")
        sendClose(.protocolError, context)
        context.close(promise: nil)
    }

    // MARK: - Outbound

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = unwrapOutboundIn(data)
        let size = max(framing.maximumFrame ?? .max, 1)
        var isFirst = true
        repeat {
            let piece = bytes.readSlice(length: min(size, bytes.readableBytes)) ?? ByteBuffer()
            let isLast = bytes.readableBytes == 0
            if framing.pings { send(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "?")), context) }
            let isContinuation = framing.fragments && !isFirst
            let frame = WebSocketFrame(
                fin: isLast || !framing.fragments, opcode: isContinuation ? .continuation : .binary, data: piece)
            context.write(wrapOutboundOut(frame), promise: isLast ? promise : nil)
            isFirst = false
        } while bytes.readableBytes > 0
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        sendClose(.normalClosure, context)
        context.close(mode: mode, promise: promise)
    }

    private func sendClose(_ code: WebSocketErrorCode, _ context: ChannelHandlerContext) {
        guard !hasSentClose else { return }
        hasSentClose = true
        var data = ByteBuffer()
        data.write(webSocketErrorCode: code)
        send(WebSocketFrame(fin: true, opcode: .connectionClose, data: data), context)
        context.flush()
    }

    private func send(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(frame), promise: nil)
    }
}
