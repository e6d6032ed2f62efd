import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One connection of a ``MosquittoHandle``, from the moment that its socket is connected to its end. Confined to the loop's
/// thread.
///
/// Every byte passes here, with TLS and without: one `recv` for a chunk, and one `send` for what a turn produced. What was
/// received is shown to ``InboundInspector`` piece by piece, and what libmosquitto has to see of it is handed over through the
/// ``LibraryPipe``.
final class Connection {
    enum Stage: Comparable {
        case handshaking, established
        /// Our DISCONNECT is on its way; what still comes in is discarded.
        case closing
        case closed
    }

    /// What a call has brought about.
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

    let handle: MosquittoHandle
    let address: String
    private(set) var stage: Stage
    /// What the socket is to be watched for.
    private(set) var interest: PollEvents = .readable
    /// What the socket has moved since somebody took the numbers.
    var traffic = Traffic()
    /// Reading stops while a consumer is full.
    var isReadingPaused = false { didSet { updateInterest() } }

    private let socket: StreamSocket
    private let transport: any Transport
    /// The same, if it is TLS.
    private let tls: TLSStream?
    private let pipe: LibraryPipe
    private var inspector: InboundInspector
    private var acknowledgements: OutgoingAcknowledgements
    private let scratch: UnsafeMutableRawBufferPointer
    /// What was received and not opened: less than a record, or what a pause holds back.
    private var received = ByteQueue()
    private var hasReceived = false
    private var hasEnded = false
    /// Nothing is done until ``answer(isTrusted:)``.
    private var isAsking = false
    private var findings: [MosquittoEvent] = []
    private var writeError: MQTTError?
    /// Keep-alive checks since bytes were sent and received.
    private var quietChecks = (sent: 0, received: 0)
    /// Whether all was read that had come when reading was paused last.
    private var hasCaughtUp = true

    /// Takes over a connected socket.
    init(
        _ handle: MosquittoHandle, _ winner: ConnectRace.Winner, tls context: TLSContext?,
        configuration: MQTTClientConfiguration, scratch: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) {
        self.handle = handle
        self.scratch = scratch
        address = winner.address
        socket = winner.socket
        inspector = InboundInspector(
            version: configuration.version, maximumPacketSize: configuration.maximumPacketSize,
            expectsAuthentication: configuration.authenticator != nil, cleanStart: configuration.session == .clean,
            log: handle.log)
        acknowledgements = OutgoingAcknowledgements(holds: configuration.acknowledgement == .afterHandling)
        do throws(MQTTError) {
            pipe = try LibraryPipe(handle)
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

    /// Whether the socket takes no more for now: nothing is to be handed over until it has.
    var isBacklogged: Bool { transport.unsent > Self.backlog }

    private static let backlog = 1 << 20

    /// Whether ``flush()`` has something to send.
    var hasUnsent: Bool { transport.unsent > 0 }

    /// Not while a consumer is full, nor while a broker that reads nothing has more to be acknowledged than one that keeps to
    /// the protocol can have: 65,535 packet identifiers, each in a record of its own, beside our own backlog.
    private var mayRead: Bool { !isReadingPaused && transport.unsent <= 4 * Self.backlog }

    /// Swaps what the library and the inspector have told, in order, for an empty array.
    func takeEvents(_ events: inout [MosquittoEvent]) {
        handle.takeEvents(&events)
        if findings.isEmpty { return }
        findings += events
        events.removeAll(keepingCapacity: true)
        swap(&events, &findings)
    }

    /// The Assigned Client Identifier of a broker that was given one.
    var ignoredIdentifier: String? { inspector.ignoredIdentifier }

    /// What TLS negotiated.
    var tlsInfo: MQTTConnectionInfo.TLS? { tls?.info }

    // MARK: Driving

    /// The socket is ready. Throws what ended the connection; events that came before are in ``takeEvents()``.
    func advance(_ events: PollEvents) throws(MQTTError) -> Progress {
        switch stage {
        case .handshaking:
            if isAsking, !events.contains(.failed) { return .none }
            if try receive() { throw endOfStream(.tlsHandshake) }
            return isAsking ? .none : try advanceHandshake()
        case .established:
            // The connection is gone; what it has left to read is little, and ends the polling for it.
            if events.contains(.failed) { isReadingPaused = false }
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

    /// Writes what the library has queued, and sends it.
    func flush() throws(MQTTError) {
        guard stage == .established || stage == .closing else { return }
        if let writeError, stage == .established { throw writeError }
        while handle.wantsWrite, handle.socket >= 0, !isBacklogged {
            let rc = handle.write()
            let count = pipe.drain(scratch) { write($0) }
            if rc != Int32(MOSQ_ERR_SUCCESS.rawValue), stage == .established { throw libraryClosed(rc) }
            if count == 0 { break }
        }
        if stage == .closing, handle.socket < 0 { transport.finishWriting() }
        let code = send()
        if code != 0 {
            if stage == .established { try readRest() }
            throw lost(code, .connected)
        }
        updateInterest()
    }

    private func send() -> Int32 {
        let unsent = transport.unsent
        let code = transport.send(socket)
        let sent = unsent - transport.unsent
        traffic.sent += sent
        if sent > 0 { quietChecks.sent = 0 }
        return code
    }

    /// Reads what the broker sent before it closed, which may say why. It is no more than the socket's buffer has.
    private func readRest() throws(MQTTError) {
        isReadingPaused = false
        try consume()
        while !inspector.hasEnded, case .bytes(let count) = socket.receive(into: scratch) {
            traffic.received += count
            received.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            try consume()
        }
    }

    /// Writes whole packets of our own, after what libmosquitto has written and before what it has queued. ``flush()`` sends them.
    /// It also tells if that failed.
    func write(_ packets: [UInt8]) {
        guard stage == .established, !packets.isEmpty, writeError == nil else { return }
        packets.withUnsafeBytes(write)
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        guard writeError == nil else { return }
        do throws(MQTTError) { try transport.write(bytes) } catch { writeError = error }
    }

    /// Writes an AUTH packet (MQTT 5.0, section 3.15). ``flush()`` sends it.
    func sendAuthentication(_ reasonCode: UInt8, method: String, data: [UInt8]?) {
        var packet = AuthenticationPacket.bytes(reasonCode, method: method, data: data)
        defer { SecretBytes.cleanse(&packet) }
        write(packet)
    }

    /// A message of QoS 1 or 2 has been handled, or will not be: ``flush()`` sends what that allows.
    func release(_ packetID: UInt16, isHandled: Bool) {
        acknowledgements.settle(packetID, isHandled: isHandled)
        acknowledge()
    }

    /// Goes on with what a pause held back.
    func resumeReading() throws(MQTTError) {
        isReadingPaused = false
        if stage == .established { try consume() }
    }

    private func updateInterest() {
        guard stage != .closed else { return }
        interest = mayRead && !isAsking ? .readable : []
        if transport.unsent > 0 { interest.insert(.writable) }
    }

    // MARK: Reading

    /// One `recv`. Returns whether the stream has ended.
    private func receive() throws(MQTTError) -> Bool {
        switch socket.receive(into: scratch) {
        case .bytes(let count):
            traffic.received += count
            quietChecks.received = 0
            received.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            hasReceived = true
            if count < scratch.count, !isReadingPaused { hasCaughtUp = true }
            if !inspector.connackSeen { socket.acknowledgeAtOnce() }
            return false
        case .nothing:
            // What there is of a record counts as well: the rest of it is the broker's to send.
            hasCaughtUp = !isReadingPaused
            return false
        case .end: return true
        case .failed(let code):
            // What was received before the reset still counts: it may be an alert that says why.
            if !received.isEmpty, stage == .established { try consume() }
            throw lost(code, stage == .handshaking ? .tlsHandshake : .connected)
        }
    }

    /// Opens, inspects and hands over piece by piece.
    private func consume() throws(MQTTError) {
        if tls == nil, !inspector.connackSeen { try refuseTLS() }
        // Nothing counts after a refusal or a DISCONNECT, and nothing of it is inspected.
        if inspector.hasEnded { return }
        while !isReadingPaused, stage == .established, let count = try open() {
            try pass(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            if inspector.hasEnded { return }
        }
        acknowledge()
        if hasEnded, !isReadingPaused { throw endOfStream(.connected) }
    }

    /// Inspects a piece, and hands over what libmosquitto has to see of it.
    private func pass(_ piece: UnsafeRawBufferPointer) throws(MQTTError) {
        let known = findings.count
        defer { noteAnswers(after: known) }
        var position = 0
        while position < piece.count, !inspector.hasEnded {
            defer { inspector.moveFindings(to: &findings) }
            let rest = UnsafeRawBufferPointer(rebasing: piece[position...])
            let (count, packet) = try inspector.inspect(rest)
            position += count
            guard let packet else { continue }
            inspector.moveFindings(to: &findings)
            let code = try pipe.handOver(packet)
            handle.moveEvents(to: &findings)
            if let code { throw libraryClosed(code) }
        }
    }

    /// Notes what is to be answered of the findings after `known`.
    private func noteAnswers(after known: Int) {
        for event in findings[known...] {
            switch event {
            case .message(let message, let packetID) where message.qos != .atMostOnce:
                acknowledgements.received(packetID, message.qos)
            case .released(let packetID): acknowledgements.released(packetID)
            case .publishReceived(let received) where received.reasonCode < 0x80:
                acknowledgements.takenOver(received.packetID)
            default: break
            }
        }
    }

    private func acknowledge() {
        acknowledgements.takeDue { packets in
            write(packets)
            if handle.log != nil { log(packets) }
        }
    }

    /// Lines as libmosquitto writes them.
    private func log(_ acknowledgements: UnsafeRawBufferPointer) {
        for start in stride(from: 0, to: acknowledgements.count, by: 4) {
            let packetID = UInt16(acknowledgements[start + 2]) << 8 | UInt16(acknowledgements[start + 3])
            switch acknowledgements[start] >> 4 {
            case 4: handle.log?("sending PUBACK (m\(packetID), rc0)")
            case 5: handle.log?("sending PUBREC (m\(packetID), rc0)")
            case 6: handle.log?("sending PUBREL (m\(packetID))")
            default: handle.log?("sending PUBCOMP (m\(packetID))")
            }
        }
    }

    private func open() throws(MQTTError) -> Int? {
        do throws(MQTTError) {
            return try transport.open(&received, into: scratch)
        } catch {
            // Our alert, if there is one.
            _ = send()
            if error.code == .closed { throw endOfStream(.connected) }
            throw error
        }
    }

    /// An alert or a handshake record of TLS would be taken for an MQTT packet that a broker may not send.
    private func refuseTLS() throws(MQTTError) {
        if received.count >= 2, [21, 22].contains(received[0]), received[1] == 3 {
            throw TLSFailure(.tlsRequired).error(phase: .connack)
        }
    }

    // MARK: Ending

    /// Sends DISCONNECT after all that is queued, and then waits for the broker to close: ``Progress/finished``.
    func disconnect(_ disconnect: MQTTDisconnect) throws(MQTTError) {
        guard stage == .established else { return }
        stage = .closing
        isReadingPaused = false
        handle.disconnect(disconnect)
        try flush()
        finishWritingIfSent()
    }

    private func finishWritingIfSent() {
        // libmosquitto 2.1 keeps its socket until the peer closes.
        let isWritten = handle.socket < 0 || !handle.wantsWrite
        if isWritten, transport.unsent == 0 { socket.finishWriting() }
    }

    private func advanceClosing(_ events: PollEvents) throws(MQTTError) -> Progress {
        if events.contains(.writable) {
            try flush()
            finishWritingIfSent()
        }
        // A broker that goes on sending does not keep the loop.
        for _ in 0..<16 {
            switch socket.receive(into: scratch) {
            case .bytes: continue
            case .nothing: return .none
            case .end, .failed: return .finished
            }
        }
        return .none
    }

    /// Ends the connection at once.
    func close() {
        guard stage != .closed else { return }
        stage = .closed
        socket.close()
    }

    /// The keep-alive check, to be made as often as ``KeepAlive`` says: sends PINGREQ when it is due; throws when nothing came after
    /// it.
    ///
    /// While reading is paused an answer would not be seen. So PINGREQ goes out all the same, for the broker's sake, and the
    /// answer is waited for when all has been read again.
    func check(_ keepAlive: KeepAlive) throws(MQTTError) {
        guard stage == .established else { return }
        if isReadingPaused {
            hasCaughtUp = false
        } else if !hasCaughtUp, mayRead {
            // If nothing more comes after a pause, no readiness says so.
            hasEnded = try receive()
            try consume()
        }
        quietChecks.sent += 1
        quietChecks.received += 1
        if !hasCaughtUp {
            quietChecks.received = 0
            if quietChecks.sent >= keepAlive.pingAfter { ping() }
            return
        }
        if quietChecks.received > keepAlive.lostAfter {
            throw MQTTError(.keepAliveTimeout, "nothing came from the broker within the keep-alive", phase: .connected)
        }
        if min(quietChecks.sent, quietChecks.received) > 1 {
            transport.rest()
            received.rest()
        }
        if quietChecks.sent >= keepAlive.pingAfter || quietChecks.received == keepAlive.pingAfter { ping() }
    }

    private func ping() {
        write([0xC0, 0])
        handle.log?("sending PINGREQ")
    }

    // MARK: Errors

    private func endOfStream(_ phase: MQTTError.Phase) -> MQTTError {
        explained(MQTTError(.closed, "the broker closed the connection", phase: phase))
    }

    private func lost(_ code: Int32, _ phase: MQTTError.Phase) -> MQTTError {
        let wasReset = code == ECONNRESET || code == EPIPE
        var error = MQTTError(
            .closed, wasReset ? "the connection was reset" : "the connection was lost: \(errorText(code).lowercased())",
            phase: phase)
        error.systemCode = code
        return explained(error)
    }

    /// What the end of a connection that never got its CONNACK suggests.
    private func explained(_ error: MQTTError) -> MQTTError {
        if inspector.connackSeen { return error }
        var error = error
        if tls == nil, !hasReceived {
            error.message += " without an answer to CONNECT; it may want TLS at this port"
        } else if stage == .handshaking, !hasReceived {
            let failure = TLSFailure(.notTLS)
            error.message +=
                " without an answer to the TLS handshake, as a port does that has no TLS; \(failure.remedy)"
            error.tls = failure
        } else if stage == .established, tls?.mayRefuseCertificate == true {
            // RFC 8446, section 4.4.2.4: some brokers close without the alert.
            let failure = TLSFailure(.clientCertificate)
            error.message += " after it had asked for a client certificate: \(failure); \(failure.remedy)"
            error.tls = failure
        }
        return error
    }

    /// libmosquitto has closed its side, for a reason that its events or this code tell.
    private func libraryClosed(_ rc: Int32) -> MQTTError {
        switch rc {
        case Int32(MOSQ_ERR_PROTOCOL.rawValue), Int32(MOSQ_ERR_MALFORMED_PACKET.rawValue),
            Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue), Int32(MOSQ_ERR_DUPLICATE_PROPERTY.rawValue):
            var error = MQTTError(.protocolViolation, "the broker broke the protocol", phase: .connected)
            error.libraryCode = rc
            return error
        case Int32(MOSQ_ERR_KEEPALIVE.rawValue):
            return MQTTError(.keepAliveTimeout, "nothing came from the broker within the keep-alive", phase: .connected)
        case Int32(MOSQ_ERR_SUCCESS.rawValue), Int32(MOSQ_ERR_NO_CONN.rawValue), Int32(MOSQ_ERR_CONN_LOST.rawValue),
            Int32(MOSQ_ERR_CONN_REFUSED.rawValue), Int32(MOSQ_ERR_ERRNO.rawValue):
            return endOfStream(.connected)
        default: return handle.libraryError(rc, "the connection failed", phase: .connected)
        }
    }
}
