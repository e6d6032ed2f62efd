/// A connection, from the moment that its socket is connected to its end. Confined to the loop's thread.
///
/// Every byte passes here, with TLS and without: one `recv` for a chunk, and one `send` for what a turn produced. What
/// was received is opened by ``Transport``, decoded by ``PacketDecoder`` and answered by ``OutgoingAcknowledgements``.
final class Connection {
    enum Stage: Comparable {
        case handshaking, established
        /// Our DISCONNECT is on its way; what still comes in is discarded.
        case closing
        case closed
    }

    /// The outcome of a call.
    enum Progress {
        case none
        /// ``answer(isTrusted:)`` has to say whether the broker is to be trusted.
        case asks(TLSPeer)
        case handshaken
        /// The broker has closed its side after our DISCONNECT, and all is sent.
        case finished
    }

    /// Bytes on the wire, TLS included.
    struct Traffic: Equatable {
        var sent = 0
        var received = 0
    }

    let address: String
    /// Changed by the extensions of this class alone, as is everything below.
    var stage: Stage
    /// The events that the socket is to be watched for.
    private(set) var interest: PollEvents = .readable
    /// Bytes transferred since the counters were last read.
    var traffic = Traffic()
    /// Reading stops while a consumer is full: ``Session`` decides.
    var isReadingPaused = false
    /// Bytes that the kernel has taken since the beginning, TLS included.
    private(set) var sent = 0

    let socket: StreamSocket
    let transport: any Transport
    /// The same, if it is TLS.
    let tls: TLSStream?
    var decoder: PacketDecoder
    var acknowledgements: OutgoingAcknowledgements
    let log: PacketLog?
    /// True if ``delivered(_:)`` and ``hold(_:)`` tell what becomes of a message.
    let acknowledgesOnDelivery: Bool
    let scratch: UnsafeMutableRawBufferPointer
    /// Bytes received and not opened: less than a record, or held back by a pause.
    var received = ByteQueue()
    var hasReceived = false
    var hasEnded = false
    /// Nothing is done until ``answer(isTrusted:)``.
    var isAsking = false
    var writeError: MQTTError?
    var keepAlive: KeepAlive?
    /// Bytes that have come since the beginning, TLS included.
    var receivedBytes = 0
    private var promise = DeliveryPromise()
    /// The largest of the writes that are not sent.
    var largestWrite = 0
    /// The broker has closed its side: what is left to read is little, and ends the polling for it.
    var hasPeerFinished = false

    /// Takes over a connected socket.
    init(
        _ winner: ConnectRace.Winner, tls context: TLSContext?, configuration: MQTTClientConfiguration,
        scratch: UnsafeMutableRawBufferPointer, log: PacketLog? = nil
    ) throws(MQTTError) {
        self.log = log
        self.scratch = scratch
        address = winner.address
        socket = winner.socket
        decoder = PacketDecoder(
            version: configuration.version, maximumPacketSize: configuration.maximumPacketSize,
            expectsAuthentication: configuration.authenticator != nil, cleanStart: configuration.session == .clean,
            log: log)
        acknowledgesOnDelivery = configuration.acknowledgesOnDelivery
        acknowledgements = OutgoingAcknowledgements(
            holds: configuration.acknowledgement == .afterHandling || acknowledgesOnDelivery)
        do throws(MQTTError) {
            tls = if let context { try TLSStream(context) } else { nil }
        } catch {
            winner.socket.close()
            throw error
        }
        transport = tls ?? PlainStream()
        stage = tls == nil ? .established : .handshaking
        // While reading is paused, nothing else tells that the broker is gone.
        if configuration.keepAlive > .zero { socket.setUserTimeout(configuration.keepAlive * 2) }
    }

    deinit { close() }

    var descriptor: Int32 { socket.descriptor }

    /// True if the socket takes no more for now: nothing is to be handed over until it has.
    var isBacklogged: Bool { transport.unsent > Self.backlog }

    private static let backlog = 1 << 20

    /// The position of the next bytes that are written, counted like ``sent``.
    var position: Int { sent + transport.unsent }

    /// True if the bytes that have come end within a packet, or a TLS record: as a network cuts, and no broker closes.
    var isInMidPacket: Bool { !received.isEmpty || decoder.isInMidPacket }

    /// True if ``flush()`` has something to send.
    var hasUnsent: Bool { transport.unsent > 0 }

    /// Not while a consumer is full, nor while a broker that reads nothing has more to be acknowledged than one that
    /// keeps to the protocol can have: 65,535 packet identifiers, each in a record of its own, beside our own backlog
    /// and a large publish.
    var mayRead: Bool { hasPeerFinished || !isReadingPaused && transport.unsent <= 4 * Self.backlog + largestWrite }

    /// The number of bytes that have left this machine. The kernel's buffer may hold megabytes that a slow link has yet
    /// to carry.
    var delivered: Int { sent - socket.outputCount }

    /// Notes that the bytes written so far are what the end of the connection waits for. Acknowledgements of received
    /// messages and PINGREQ are not: they would prolong it for ever.
    func promiseDelivery() { promise.end = position }

    /// True if bytes that were promised have yet to leave this machine.
    var isPromiseOpen: Bool { delivered < promise.end }

    /// Returns whether promised bytes have left this machine since the last call.
    func hasMoved() -> Bool { promise.hasMoved(delivered) }

    /// Swaps the packets that have come for an empty array, whose memory is used again.
    func takePackets(_ packets: inout [ServerPacket]) { decoder.take(&packets) }

    /// The result of the TLS negotiation.
    var tlsInfo: MQTTConnectionInfo.TLS? { tls?.info }

    // MARK: Driving

    /// The socket is ready. Throws what ended the connection; packets that came before are in ``takePackets(_:)``.
    func advance(_ events: PollEvents) throws(MQTTError) -> Progress {
        switch stage {
        case .handshaking:
            if isAsking, !events.contains(.failed) { return .none }
            if try receive() { throw endOfStream(.tlsHandshake) }
            return isAsking ? .none : try advanceHandshake()
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

    /// Begins: with TLS, the steps of the handshake that can be made now.
    func advanceHandshake() throws(MQTTError) -> Progress {
        guard stage == .handshaking, let tls else { return .handshaken }
        let step: Result<TLSStream.Step, MQTTError>
        do throws(MQTTError) { step = .success(try tls.handshake(&received)) } catch { step = .failure(error) }
        // An alert is sent whatever comes of it.
        let code = send()
        let result = try step.get()
        if code != 0 { throw lost(code, .tlsHandshake) }
        defer { updateInterest() }
        switch result {
        case .pending: return .none
        case .asks(let peer):
            isAsking = true
            return .asks(peer)
        case .finished:
            stage = .established
            try consume()
            return .handshaken
        }
    }

    /// Goes on with a handshake that has asked.
    func answer(isTrusted: Bool) throws(MQTTError) -> Progress {
        guard stage == .handshaking, isAsking, let tls else { return .none }
        isAsking = false
        tls.answer(isTrusted: isTrusted)
        return try advanceHandshake()
    }

    /// Sends what was written.
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
        let unsent = transport.unsent
        let code = transport.send(socket)
        let count = unsent - transport.unsent
        if count > 0 {
            sent += count
            traffic.sent += count
            keepAlive?.sent(.now)
        }
        if transport.unsent == 0 { largestWrite = 0 }
        return code
    }

    /// Reads what the broker sent before it closed, which may say why. It is no more than the socket's buffer has.
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

    /// Writes a packet with a secret in it, which is overwritten here. ``flush()`` sends it.
    func writeSecret(_ packet: consuming [UInt8]) {
        var packet = packet
        defer { SecretBytes.cleanse(&packet) }
        write(packet)
    }

    /// Messages have their consumers: ``sendAcknowledgements()`` writes what that allows.
    func delivered(_ messages: [IncomingMessage]) {
        for incoming in messages {
            guard let packetID = incoming.message.packetIdentifier else { continue }
            acknowledgements.delivered(packetID, incoming.message.qos)
        }
    }

    /// Writes the acknowledgements that are due; ``flush()`` sends them.
    func sendAcknowledgements() {
        if stage == .established { acknowledge() }
    }

    /// A message of QoS 1 or 2 waits for its consumer, until ``release(_:isHandled:)``.
    func hold(_ packetID: UInt16, _ qos: MQTTQoS) { acknowledgements.received(packetID, qos) }

    /// True if messages that were handled cannot be acknowledged, since one before them is held.
    var isAcknowledgementBlocked: Bool { acknowledgements.isBlocked }

    /// A message of QoS 1 or 2 has been handled, or will not be: ``flush()`` sends what that allows. Nothing follows a
    /// DISCONNECT (MQTT 5.0, section 3.14.4).
    ///
    /// - Parameter passed: gets each message whose acknowledgement is not held any more.
    func release(_ packetID: UInt16, isHandled: Bool, passed: (UInt16) -> Void) {
        guard stage == .established else { return }
        acknowledgements.settle(packetID, isHandled: isHandled, passed: passed)
        acknowledge()
    }

    /// Stops reading, unless the broker has closed its side.
    func pauseReading() {
        guard stage == .established, !hasPeerFinished else { return }
        isReadingPaused = true
        updateInterest()
    }

    /// Goes on with what a pause held back.
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
