// SPDX-License-Identifier: Apache-2.0

/// A connection, from a connected socket to its end. Confined to the loop's thread.
///
/// All bytes pass through it, with and without TLS: one `recv` per chunk, and one `send` per turn of the loop.
/// ``Transport`` decrypts received bytes, ``PacketDecoder`` decodes them, and ``OutgoingAcknowledgements`` answers the
/// packets.
final class Connection {
    enum Stage: Comparable {
        /// TLS with a proxy, and the request to it.
        case tunnelling
        case handshaking
        /// The upgrade to a WebSocket.
        case upgrading
        case established
        /// The client's DISCONNECT is being sent; received bytes are discarded.
        case closing
        case closed
    }

    /// The outcome of a call.
    enum Progress {
        case none
        /// The connection waits for ``answer(isTrusted:)``, which decides whether to trust the broker, or the proxy.
        case asks(MQTTTLSPeer)
        /// Bytes reach the broker: there is no proxy with TLS, or it has connected.
        case reached
        /// TLS is established, or not wanted.
        case handshaken
        /// The WebSocket is established.
        case upgraded
        /// The server refuses the upgrade, and the rest of its answer is awaited.
        case refused
        /// The broker closed its side after the client's DISCONNECT, and all bytes are sent.
        case finished
    }

    let address: String
    /// Modified by the extensions of this class only, like everything below.
    var stage: Stage
    /// The events to watch on the socket.
    private(set) var interest: PollEvents = .readable
    /// Bytes transferred since the counters were last read.
    var traffic = Traffic()
    /// True while reading is paused because a consumer is full; ``Session`` decides.
    var isReadingPaused = false
    /// Number of bytes that the kernel has accepted since the beginning, TLS included.
    private(set) var sent = 0

    let socket: StreamSocket
    let transport: any Transport
    /// The transport, if it is TLS.
    let tls: TLSStream?
    /// The transport that carries the others through a proxy with TLS.
    let tunnel: TunnelStream?
    /// The transport, if it is a WebSocket.
    let webSocket: WebSocketStream?
    var decoder: PacketDecoder
    let log: PacketLog?
    let scratch: UnsafeMutableRawBufferPointer
    /// Received bytes that are not decrypted yet: an incomplete record, or bytes held back by a pause.
    var received = ByteQueue()
    var hasReceived = false
    /// The protocol of a peer that answers the first TLS handshake with neither TLS nor MQTT.
    var foreign: ForeignProtocol?
    var hasEnded = false
    /// True while the handshake waits for ``answer(isTrusted:)``.
    var isAsking = false
    var writeError: MQTTError?
    var keepAlive: KeepAlive?
    /// Number of bytes received since the beginning, TLS included.
    var receivedBytes = 0
    private var promise = DeliveryPromise()
    /// Size of the largest unsent write.
    var largestWrite = 0
    /// True after the broker has closed its side: few bytes are left to read, and the socket needs no polling for them.
    var hasPeerFinished = false

    /// Takes over a connected socket. `proxy`: the proxy with TLS to which the socket is connected; `webSocket`: the
    /// request of a WebSocket handshake.
    init(
        _ winner: ConnectRace.Winner, tls context: TLSContext?, through proxy: TunnelStream.Proxy? = nil,
        webSocket request: MQTTWebSocketRequest? = nil, configuration: MQTTClientConfiguration,
        scratch: UnsafeMutableRawBufferPointer, log: PacketLog? = nil
    ) throws(MQTTError) {
        self.log = log
        self.scratch = scratch
        address = winner.address
        socket = winner.socket
        decoder = PacketDecoder(
            version: configuration.version, maximumPacketSize: configuration.receiving.maximumPacketSize,
            maximumReasonCodes: configuration.receiving.maximumFiltersPerSubscribe,
            expectsAuthentication: configuration.authenticator != nil, cleanStart: configuration.session == .clean,
            topicAliasMaximum: configuration.receiving.topicAliasMaximum,
            log: log)
        let carrier: any Transport
        do throws(MQTTError) {
            tls = if let context { try TLSStream(context) } else { nil }
            let stream: any Transport = tls ?? PlainStream()
            tunnel = if let proxy { try TunnelStream(stream, through: proxy) } else { nil }
            carrier = tunnel ?? stream
        } catch {
            winner.socket.close()
            throw error
        }
        let pieceSize = tunnel == nil ? TLSRecord.size : TunnelStream.pieceSize
        webSocket = request.map { WebSocketStream($0, over: carrier, pieceSize: pieceSize) }
        transport = webSocket ?? carrier
        stage = .tunnelling
        if tunnel == nil { stage = firstStage }
        // While reading is paused, only this timeout detects a lost broker.
        if configuration.keepAlive > .zero { socket.setUserTimeout(configuration.keepAlive * 2) }
    }

    deinit { close() }

    var descriptor: Int32 { socket.descriptor }

    /// The first stage of a connection that reaches the broker.
    var firstStage: Stage { tls != nil ? .handshaking : webSocket != nil ? .upgrading : .established }

    /// True if the socket accepts no more bytes for now: the caller must not write until it does.
    var isBacklogged: Bool { transport.unsent > Self.backlog }

    private static let backlog = 1 << 20

    /// The position of the next written byte, counted like ``sent``.
    var position: Int { sent + transport.unsent }

    /// True if the received bytes end within a packet, a frame or a TLS record: a sign of a failing network, since
    /// brokers close between packets.
    var isInMidPacket: Bool {
        !received.isEmpty || decoder.isInMidPacket || tunnel?.isInMidRecord == true || webSocket?.isInMidFrame == true
    }

    /// The room that the transport needs for a header in front of written bytes.
    var headerRoom: Int { webSocket == nil ? 0 : WebSocketStream.headerRoom }

    /// Number of plaintext bytes in a full record on the wire.
    var recordSize: Int { tunnel == nil ? TLSRecord.size : TunnelStream.pieceSize }

    /// True if ``flush()`` has something to send.
    var hasUnsent: Bool { transport.unsent > 0 }

    /// False while a consumer is full, and while a broker that reads nothing is owed more acknowledgements than the
    /// protocol permits: 65,535 packet identifiers, each in a record of its own, in addition to the client's backlog
    /// and a large publish.
    var mayRead: Bool { hasPeerFinished || !isReadingPaused && transport.unsent <= 4 * Self.backlog + largestWrite }

    /// Number of bytes that have left this machine. The kernel's buffer may hold megabytes that a slow link has yet to
    /// carry.
    var delivered: Int { sent - socket.outputCount }

    /// Marks the bytes written so far as those that a shutdown waits for. Acknowledgements of received messages and
    /// PINGREQ are not marked: they would prolong the shutdown for ever.
    func promiseDelivery() { promise.end = position }

    /// True if marked bytes have yet to leave this machine.
    var isPromiseOpen: Bool { delivered < promise.end }

    /// Returns true if marked bytes have left this machine since the last call.
    func hasMoved() -> Bool { promise.hasMoved(delivered) }

    /// Swaps the received packets with an empty array, whose memory is reused.
    func takePackets(_ packets: inout [ServerPacket]) { decoder.take(&packets) }

    /// The result of the TLS negotiation.
    var tlsInfo: MQTTConnectionInfo.TLS? { tls?.info }

    // MARK: Driving

    /// Handles a ready socket. Throws the error that ended the connection; packets received before are in
    /// ``takePackets(_:)``.
    func advance(_ events: PollEvents) throws(MQTTError) -> Progress {
        switch stage {
        case .tunnelling, .handshaking:
            if isAsking, !events.contains(.failed) { return .none }
            if try receive() { throw isTunnelling ? proxyEnd() : endOfStream(.tlsHandshake) }
            return isAsking ? .none : isTunnelling ? try advanceTunnel() : try advanceHandshake()
        case .upgrading: return try advanceUpgrade(events)
        case .established:
            if events.contains(.failed) || events.contains(.finished) && !mayRead { peerFinished() }
            if events.contains(.failed) || mayRead && events.contains(.readable) {
                hasEnded = try receive()
                try consume()
            }
            if events.contains(.writable) { try flush() }
            return .none
        case .closing: return try advanceClosing(events)
        case .closed: return .none
        }
    }

    /// Performs the possible steps of a TLS handshake; without TLS, finishes at once.
    func advanceHandshake() throws(MQTTError) -> Progress {
        guard stage == .handshaking, let tls else { return .handshaken }
        let step: Result<TLSStream.Step, MQTTError>
        do throws(MQTTError) { step = .success(try handshake(tls)) } catch { step = .failure(error) }
        let rest = try sendHandshake(step, .tlsHandshake)
        defer { updateInterest() }
        if let rest { return rest }
        stage = webSocket == nil ? .established : .upgrading
        try consume()
        return .handshaken
    }

    /// Sends the bytes of a step of a TLS handshake: after a failure, the alert. Returns what is missing; `nil` if the
    /// handshake has ended.
    func sendHandshake(
        _ step: Result<TLSStream.Step, MQTTError>, _ phase: MQTTError.Phase
    ) throws(MQTTError) -> Progress? {
        let code = send()
        let result = try step.mapError(namedInHandshake).get()
        if code != 0 { throw lost(code, phase) }
        switch result {
        case .pending: return Progress.none
        case .asks(let peer):
            isAsking = true
            return .asks(peer)
        case .finished: return nil
        }
    }

    private func handshake(_ tls: TLSStream) throws(MQTTError) -> TLSStream.Step {
        guard let tunnel else { return try tls.handshake(&received) }
        do throws(MQTTError) {
            return try tunnel.handshake(of: tls, &received, scratch: scratch)
        } catch {
            throw error.code == .closed ? explained(error) : error
        }
    }

    /// Resumes a handshake that waits for the decision about the broker, or the proxy.
    func answer(isTrusted: Bool) throws(MQTTError) -> Progress {
        guard stage <= .handshaking, isAsking else { return .none }
        isAsking = false
        if isTunnelling {
            tunnel?.answer(isTrusted: isTrusted)
            return try advanceTunnel()
        }
        tls?.answer(isTrusted: isTrusted)
        return try advanceHandshake()
    }

    /// Sends the written bytes.
    func flush() throws(MQTTError) {
        guard stage == .established || stage == .closing else { return }
        if let writeError, stage == .established { throw writeError }
        let code = send()
        if code != 0 {
            if stage == .established { try readRest() }
            throw lost(code, .connected)
        }
        updateInterest()
    }

    func send() -> Int32 {
        let progress = transport.send { socket.send($0) }
        if progress.count > 0 {
            sent += progress.count
            traffic.sent += progress.count
            keepAlive?.sent(.now)
        }
        if transport.unsent == 0 { largestWrite = 0 }
        transport.hasSent()
        return progress.code
    }

    /// Reads the bytes that the broker sent before it closed, which may give the reason. They fit in the socket's
    /// buffer.
    private func readRest() throws(MQTTError) {
        peerFinished()
        try consume()
        while !decoder.hasEnded, case .bytes(let count) = socket.receive(into: scratch) {
            traffic.received += count
            received.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            try consume()
        }
    }

    /// Writes whole packets. ``flush()`` sends them, and reports a failure.
    func write(_ packets: [UInt8]) {
        guard stage == .established, !packets.isEmpty, writeError == nil else { return }
        largestWrite = max(largestWrite, packets.count)
        packets.withUnsafeBytes(write)
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
        guard writeError == nil else { return }
        do throws(MQTTError) { try transport.write(bytes) } catch { writeError = error }
    }

    /// Writes a packet that contains a secret, and overwrites it. ``flush()`` sends the packet.
    func writeSecret(_ packet: consuming [UInt8]) {
        var packet = packet
        defer { SecretBytes.cleanse(&packet) }
        write(packet)
    }

    /// Stops reading, unless the broker has closed its side.
    func pauseReading() {
        guard stage == .established, !hasPeerFinished else { return }
        isReadingPaused = true
        updateInterest()
    }

    /// Resumes reading, with the bytes that the pause held back.
    func resumeReading() throws(MQTTError) {
        isReadingPaused = false
        keepAlive?.received(.now)
        if stage == .established { try consume() }
        updateInterest()
    }

    func peerFinished() {
        hasPeerFinished = true
        isReadingPaused = false
        updateInterest()
    }

    func updateInterest() {
        guard stage != .closed else { return }
        interest = mayRead && !isAsking ? .readable : stage == .established ? .finished : []
        if transport.unsent > 0 { interest.insert(.writable) }
    }
}
