// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The handler next to the socket, below TLS: it runs the scripts that never reach MQTT, and can end a connection
/// without the close_notify that the TLS handler would send.
///
/// Confined to the broker's event loop.
final class TransportGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let index: Int
    private let script: ConnectionScript
    private let isPlain: Bool
    private let core: BrokerCore
    private var context: ChannelHandlerContext?

    init(index: Int, script: ConnectionScript, isPlain: Bool, core: BrokerCore) {
        self.index = index
        self.script = script
        self.isPlain = isPlain
        self.core = core
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        core.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        core.closed(self)
    }

    func channelActive(context: ChannelHandlerContext) {
        switch script {
        case .closeOnAccept: close()
        case .resetOnAccept: reset()
        case .raw(let bytes): context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        default: context.fireChannelActive()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard script.isTransportOnly else {
            context.fireChannelRead(data)
            return
        }
        // Without TLS these bytes are MQTT, even if no handler reads them.
        if isPlain {
            core.record.withState { [count = unwrapInboundIn(data).readableBytes] in $0.applicationBytes += count }
        }
        if script == .resetMidHandshake { reset() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the client, for instance. The handlers above record it.
        context.fireErrorCaught(error)
        if script.isTransportOnly { close() }
    }

    /// Closes the socket at once: FIN, no TLS close_notify, no MQTT packet.
    func close() {
        context?.close(promise: nil)
    }

    /// Closes the socket with RST.
    func reset() {
        // SO_LINGER 0 makes close(2) send RST. On the event loop the option is set before the call returns.
        if let socket = context?.channel as? any SocketOptionProvider {
            _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        close()
    }
}
