// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix

/// One connection of a ``ScriptedHTTPProxy``: reads a request, and plays the script. Confined to the event loop.
final class ProxyRequestHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let state: SharedProxyState
    private let connections: OpenChannels
    private var received: [UInt8] = []
    private var isAnswered = false
    /// The channel to the broker.
    private var partner: (any Channel)?

    init(_ state: SharedProxyState, _ connections: OpenChannels) {
        self.state = state
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if let partner { return partner.write(bytes, promise: nil) }
        received += Array(bytes.readableBytesView)
        guard !isAnswered, let end = endOfHead else { return }
        isAnswered = true
        let request = ScriptedHTTPProxy.Request(received[..<end])
        received.removeSubrange(..<end)
        answer(request, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) { partner?.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        _ = partner?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event as? ChannelEvent == .inputClosed else { return context.fireUserInboundEventTriggered(event) }
        if let partner { partner.close(mode: .output, promise: nil) } else { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        connections.closed(context.channel)
        partner?.close(promise: nil)
        partner = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private var endOfHead: Int? {
        received.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound
    }

    private func answer(_ request: ScriptedHTTPProxy.Request, _ context: ChannelHandlerContext) {
        switch state.received(request) {
        case nil:
            let fields = ["Proxy-Authenticate": "Basic realm=\"test\""]
            send(head(407, "Proxy Authentication Required", fields), closes: true, context)
        case .connect?: connect(request, Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8), context)
        case .connectWith(let bytes)?: connect(request, bytes, context)
        case .answer(let status, let reason, let headers, let body)?:
            var headers = headers
            headers["Content-Length"] = headers["Content-Length"] ?? String(body.utf8.count)
            send(head(status, reason, headers) + Array(body.utf8), closes: true, context)
        case .raw(let bytes, let closes)?: send(bytes, closes: closes, context)
        case .silent?: break
        case .close?: context.close(promise: nil)
        }
    }

    private func head(_ status: Int, _ reason: String, _ headers: [String: String]) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(reason)\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    private func connect(_ request: ScriptedHTTPProxy.Request, _ answer: [UInt8], _ context: ChannelHandlerContext) {
        guard let port = request.target.split(separator: ":").last.flatMap({ Int($0) }) else {
            return send(head(400, "Bad Request", [:]), closes: true, context)
        }
        let channel = context.channel
        let connected = ClientBootstrap(group: context.eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: port)
        connected.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .failure:
                send(head(502, "Bad Gateway", [:]), closes: true, context)
            case .success(let broker):
                guard channel.isActive else { return broker.close(promise: nil) }
                // The broker's bytes follow the answer.
                send(answer, closes: false, context) { [self] in relay(to: broker, from: channel) }
            }
        }
    }

    private func relay(to broker: any Channel, from client: any Channel) {
        do {
            try broker.pipeline.syncOperations.addHandler(ProxyRelayHandler(to: client, connections))
        } catch {
            return broker.close(promise: nil)
        }
        connections.opened(broker)
        partner = broker
        if !received.isEmpty {
            broker.writeAndFlush(ByteBuffer(bytes: received), promise: nil)
            received = []
        }
        _ = broker.setOption(.autoRead, value: true)
    }

    /// Sends bytes, one by one if the proxy is slow, and then closes or calls `then`.
    private func send(
        _ bytes: [UInt8], closes: Bool, _ context: ChannelHandlerContext, then: @escaping () -> Void = {}
    ) {
        guard context.channel.isActive else { return }
        guard let pause = state.withState({ $0.pause }), let first = bytes.first else {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            if closes { context.close(promise: nil) } else { then() }
            return
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [first])), promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) { [self] in
            send(Array(bytes.dropFirst()), closes: closes, context, then: then)
        }
    }
}

/// The broker's side of a tunnel. Confined to the proxy's event loop.
private final class ProxyRelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: any Channel
    private let connections: OpenChannels

    init(to client: any Channel, _ connections: OpenChannels) {
        self.client = client
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { client.write(unwrapInboundIn(data), promise: nil) }

    func channelReadComplete(context: ChannelHandlerContext) { client.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        _ = client.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event as? ChannelEvent == .inputClosed else { return context.fireUserInboundEventTriggered(event) }
        client.close(mode: .output, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connections.closed(context.channel)
        client.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension ScriptedHTTPProxy.Request {
    fileprivate init(_ head: ArraySlice<UInt8>) {
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        self.init(
            method: words.first.map(String.init) ?? "", target: words.count > 1 ? String(words[1]) : "",
            headers: headers)
    }
}
