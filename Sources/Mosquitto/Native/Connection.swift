import CMosquitto
import CMosquittoShim

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
/// Over TLS, libmosquitto's `SSL` stands on memory BIOs and every byte passes here: one `recv` for a chunk of records, one
/// `send` for what a turn produced. Records are fed one at a time, so that ``InboundInspector`` sees the plaintext of each
/// before libmosquitto does. On plain TCP libmosquitto reads and writes its socket itself.
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
        /// ``answer(_:)`` has to say whether the broker is to be trusted.
        case asks(TLSPeer)
        case handshaken
        /// The broker has closed its side after our DISCONNECT, and all is sent.
        case finished
    }

    let handle: MosquittoHandle
    let address: String
    private(set) var stage: Stage
    /// What the socket is to be watched for.
    private(set) var interest: PollEvents = .readable
    /// Reading stops while a consumer is full.
    var isReadingPaused = false { didSet { updateInterest() } }

    private let socket: StreamSocket
    private var inspector: InboundInspector
    private let scratch: UnsafeMutableRawBufferPointer
    /// Ciphertext that has not been fed: less than a record, or what a pause holds back.
    private var inbound: [UInt8] = []
    /// Where in `inbound` the next record begins.
    private var inboundStart = 0
    private var inboundEnd = false
    private var hasReceived = false
    /// Nothing is done until ``answer(_:)``.
    private var isAsking = false
    private var findings: [MosquittoEvent] = []

    /// Takes over a connected socket.
    init(
        _ handle: MosquittoHandle, _ winner: ConnectRace.Winner, configuration: MQTTClientConfiguration,
        scratch: UnsafeMutableRawBufferPointer
    ) {
        self.handle = handle
        self.scratch = scratch
        address = winner.address
        socket = winner.socket
        inspector = InboundInspector(version: configuration.version, maximumPacketSize: configuration.maximumPacketSize)
        stage = handle.tls == nil ? .established : .handshaking
    }

    deinit { close() }

    var descriptor: Int32 { socket.descriptor }

    /// Bytes that wait to be sent, over TLS.
    private var unsent: Int { handle.tls.map { cmq_tls_unsent($0.record) } ?? 0 }

    /// Whether the socket takes no more for now: nothing is to be handed over until it has.
    var isBacklogged: Bool { handle.tls == nil ? handle.socket >= 0 && handle.wantsWrite : unsent > 1 << 20 }

    /// What the library and the inspector have told, in order.
    func takeEvents() -> [MosquittoEvent] {
        var events = findings
        findings.removeAll(keepingCapacity: true)
        events += handle.takeEvents()
        return events
    }

    /// Version and cipher of an established TLS connection.
    var tlsInfo: MQTTConnectionInfo.TLS? {
        guard let ssl = handle.ssl else { return nil }
        return MQTTConnectionInfo.TLS(
            version: String(cString: SSL_get_version(ssl)),
            cipher: String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))),
            resumed: SSL_session_reused(ssl) == 1, applicationProtocol: Self.applicationProtocol(of: ssl))
    }

    private static func applicationProtocol(of ssl: OpaquePointer) -> String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        return length == 0 ? nil : String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

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
            if handle.tls != nil {
                if !isReadingPaused, !events.isDisjoint(with: [.readable, .failed]) {
                    inboundEnd = try receive()
                    try consume()
                }
                if events.contains(.writable) { try flush() }
            } else {
                if events.contains(.writable) { try flush() }
                if !isReadingPaused, !events.isDisjoint(with: [.readable, .failed]) { try readPlain() }
            }
            return .none
        case .closing: return try advanceClosing(events)
        case .closed: return .none
        }
    }

    /// The steps of the TLS handshake that can be made now.
    func advanceHandshake() throws(MQTTError) -> Progress {
        guard let tls = handle.tls, let ssl = handle.ssl else {
            throw MQTTError(.tlsProtocol, "TLS was not set up", phase: .tlsHandshake)
        }
        while true {
            let status = cmq_tls_handshake(tls.record, ssl)
            let sent = cmq_tls_send(tls.record, socket.descriptor)
            if status == CMQ_TLS_FAILED {
                throw TLSFailure(tls.record, host: tls.verifiedName).error(phase: .tlsHandshake)
            }
            if sent != 0 { throw lost(sent, .tlsHandshake) }
            if status == CMQ_TLS_DONE { break }
            if status == CMQ_TLS_ASKS {
                isAsking = true
                updateInterest()
                return .asks(TLSPeer(ssl, host: tls.verifiedName))
            }
            guard try feedRecord() else {
                updateInterest()
                return .none
            }
        }
        stage = .established
        // libmosquitto <= 2.0.14 notices only in loop_read that its handshake is over; until then it writes nothing.
        _ = handle.read()
        try consume()
        return .handshaken
    }

    /// Goes on with a handshake that has asked.
    func answer(isTrusted: Bool) throws(MQTTError) -> Progress {
        guard stage == .handshaking, isAsking, let tls = handle.tls else { return .none }
        isAsking = false
        tls.record.pointee.answer = isTrusted ? 1 : -1
        return try advanceHandshake()
    }

    /// Writes what the library has queued, and sends it.
    func flush() throws(MQTTError) {
        guard stage == .established || stage == .closing else { return }
        if handle.socket >= 0 {
            let rc = handle.write()
            if rc != Int32(MOSQ_ERR_SUCCESS.rawValue), stage == .established { throw libraryClosed(rc) }
        }
        if let tls = handle.tls {
            let code = cmq_tls_send(tls.record, socket.descriptor)
            if code != 0 {
                // The broker may have said why before it closed.
                if stage == .established {
                    inboundEnd = try receive()
                    try consume()
                }
                throw lost(code, .connected)
            }
        }
        updateInterest()
    }

    /// Whether AUTH packets can be sent: over TLS every packet of libmosquitto's is written whole, and one of ours fits between
    /// two of them.
    var canAuthenticate: Bool { handle.tls != nil }

    /// Writes an AUTH packet (MQTT 5.0, section 3.15). ``flush()`` sends it.
    func sendAuthentication(_ reasonCode: UInt8, method: String, data: [UInt8]?) throws(MQTTError) {
        guard stage == .established, let tls = handle.tls, let ssl = handle.ssl else { return }
        var packet = AuthenticationPacket.bytes(reasonCode, method: method, data: data)
        defer { SecretBytes.cleanse(&packet) }
        guard cmq_tls_write(ssl, packet, Int32(packet.count)) else {
            throw TLSFailure(tls.record, host: tls.verifiedName).error(phase: .connected)
        }
    }

    /// Goes on with what a pause held back.
    func resumeReading() throws(MQTTError) {
        isReadingPaused = false
        if handle.tls != nil, stage == .established { try consume() }
    }

    private func updateInterest() {
        guard stage != .closed else { return }
        interest = isReadingPaused || isAsking ? [] : .readable
        if handle.tls != nil ? unsent > 0 : handle.socket >= 0 && handle.wantsWrite { interest.insert(.writable) }
    }

    // MARK: Reading

    /// One `recv`. Returns whether the stream has ended.
    private func receive() throws(MQTTError) -> Bool {
        switch socket.receive(into: scratch) {
        case .bytes(let count):
            if inboundStart > 0 {
                inbound.removeFirst(inboundStart)
                inboundStart = 0
            }
            inbound.append(contentsOf: scratch[..<count])
            hasReceived = true
            if !inspector.connackSeen { socket.acknowledgeAtOnce() }
            return false
        case .nothing: return false
        case .end: return true
        case .failed(let code):
            // What was received before the reset still counts: it may be an alert that says why.
            if !inbound.isEmpty, stage == .established { try consume() }
            throw lost(code, stage == .handshaking ? .tlsHandshake : .connected)
        }
    }

    /// The header, and the 2^14 + 2,048 bytes that TLS 1.2 allows.
    private static let maximumRecord = 5 + 16_384 + 2_048

    /// Feeds the next whole record. What is no TLS is fed as it came: OpenSSL says what it is.
    private func feedRecord() throws(MQTTError) -> Bool {
        let start = inboundStart
        var length = inbound.count - start
        guard let tls = handle.tls, length > 0 else { return false }
        if (20...24).contains(inbound[start]), length < 2 || inbound[start + 1] == 3 {
            // RFC 8446, section 5.1: type, version, and the length of what follows.
            guard length >= 5 else { return false }
            let record = 5 + (Int(inbound[start + 3]) << 8 | Int(inbound[start + 4]))
            // One that is too long to be legal (section 5.2) is not waited for: OpenSSL refuses its header.
            if record <= Self.maximumRecord {
                guard length >= record else { return false }
                length = record
            }
        }
        let isFed = inbound.withUnsafeBytes { cmq_tls_feed(tls.record, $0.baseAddress.map { $0 + start }, length) }
        guard isFed else { throw MosquittoHandle.systemError(ENOMEM, "a TLS record could not be stored") }
        inboundStart += length
        if inboundStart == inbound.count {
            inbound.removeAll(keepingCapacity: true)
            inboundStart = 0
        }
        return true
    }

    /// Decrypts, inspects and hands over record by record.
    private func consume() throws(MQTTError) {
        guard let tls = handle.tls else { return }
        while !isReadingPaused, stage == .established {
            guard try feedRecord() else { break }
            try consumeRecord(tls)
            if inspector.hasEnded { return }
        }
        if inboundEnd, !isReadingPaused { throw endOfStream(.connected) }
    }

    private func consumeRecord(_ tls: TLSContext) throws(MQTTError) {
        guard let ssl = handle.ssl else { throw libraryClosed(Int32(MOSQ_ERR_CONN_LOST.rawValue)) }
        let count = cmq_tls_peek(tls.record, ssl, scratch.baseAddress, Int32(scratch.count))
        switch count {
        case Int32(CMQ_TLS_WANT_MORE.rawValue): return
        case Int32(CMQ_TLS_CLOSED.rawValue): throw endOfStream(.connected)
        case Int32(CMQ_TLS_FAILED.rawValue):
            let failure = TLSFailure(tls.record, host: tls.verifiedName)
            _ = cmq_tls_send(tls.record, socket.descriptor)
            throw failure.error(phase: .connected)
        default: break
        }
        try inspector.inspect(UnsafeRawBufferPointer(rebasing: scratch[..<Int(count)]))
        defer { findings += inspector.takeFindings() }
        if inspector.sawOnlyAuthentication {
            cmq_tls_discard(ssl, scratch.baseAddress, count)
            return
        }
        // errno cannot tell when to stop (the library's internal socketpair sets it): stop when nothing is consumed any more.
        var unread = cmq_tls_unread(tls.record, ssl)
        while unread > 0 {
            let rc = handle.read()
            findings += handle.takeEvents()
            if rc != Int32(MOSQ_ERR_SUCCESS.rawValue) || handle.socket < 0 { throw libraryClosed(rc) }
            let left = cmq_tls_unread(tls.record, ssl)
            if left >= unread { break }
            unread = left
        }
    }

    /// Lets libmosquitto read its own socket. A turn reads a bounded number of packets; level-triggered polling does the rest.
    private func readPlain() throws(MQTTError) {
        if !hasReceived {
            // An alert or a handshake record: libmosquitto would take it for an MQTT packet.
            if let start = socket.peekTwo(), [21, 22].contains(start.0), start.1 == 3 {
                throw TLSFailure(.tlsRequired).error(phase: .connack)
            }
            hasReceived = socket.hasInput
        }
        for _ in 0..<64 {
            let rc = handle.read()
            if rc != Int32(MOSQ_ERR_SUCCESS.rawValue) || handle.socket < 0 { throw libraryClosed(rc) }
            if isReadingPaused || !socket.hasInput { break }
        }
    }

    // MARK: Ending

    /// Sends DISCONNECT after all that is queued, and then waits for the broker to close: ``Progress/finished``.
    func disconnect() throws(MQTTError) {
        guard stage == .established else { return }
        stage = .closing
        isReadingPaused = false
        handle.disconnect()
        try flush()
        finishWritingIfSent()
    }

    private func finishWritingIfSent() {
        // libmosquitto 2.1 keeps its socket until the peer closes; the DISCONNECT is out when nothing is unsent.
        if unsent == 0, handle.tls != nil || handle.socket < 0 { socket.finishWriting() }
    }

    private func advanceClosing(_ events: PollEvents) throws(MQTTError) -> Progress {
        if events.contains(.writable) {
            try flush()
            finishWritingIfSent()
        }
        while true {
            switch socket.receive(into: scratch) {
            case .bytes: continue
            case .nothing: return .none
            case .end, .failed: return .finished
            }
        }
    }

    /// Ends the connection at once.
    func close() {
        guard stage != .closed else { return }
        stage = .closed
        socket.close()
    }

    // MARK: Errors

    private func endOfStream(_ phase: MQTTError.Phase) -> MQTTError {
        var error = MQTTError(.closed, "the broker closed the connection", phase: phase)
        explain(&error)
        return error
    }

    /// What the end of a connection that never got its CONNACK suggests.
    private func explain(_ error: inout MQTTError) {
        guard let tls = handle.tls else {
            if !hasReceived { error.message += " without an answer to CONNECT; it may want TLS at this port" }
            return
        }
        if stage == .handshaking, !hasReceived {
            let failure = TLSFailure(.notTLS)
            error.message +=
                " without an answer to the TLS handshake, as a port does that has no TLS; \(failure.remedy)"
            error.tls = failure
        } else if stage == .established, !inspector.connackSeen, tls.record.pointee.certificate_requested,
            let ssl = handle.ssl, SSL_version(ssl) == TLS1_3_VERSION
        {
            // RFC 8446, section 4.4.2.4: the server learns only after its own part of the handshake, and some send no alert.
            let failure = TLSFailure(.clientCertificate)
            error.message += " after it had asked for a client certificate: \(failure); \(failure.remedy)"
            error.tls = failure
        }
    }

    private func lost(_ code: Int32, _ phase: MQTTError.Phase) -> MQTTError {
        let wasReset = code == ECONNRESET || code == EPIPE
        var error = MQTTError(
            .closed, wasReset ? "the connection was reset" : "the connection was lost: \(errorText(code).lowercased())",
            phase: phase)
        error.systemCode = code
        explain(&error)
        return error
    }

    /// libmosquitto has closed its side, for a reason that its events or this code tell.
    private func libraryClosed(_ rc: Int32) -> MQTTError {
        switch rc {
        case Int32(MOSQ_ERR_PROTOCOL.rawValue), Int32(MOSQ_ERR_MALFORMED_PACKET.rawValue),
            Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue):
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

    /// The keep-alive check: sends PINGREQ when it is due; throws when no answer came to the last one.
    func keepAlive() throws(MQTTError) {
        guard stage == .established else { return }
        handle.keepAlive()
        if handle.socket < 0 { throw libraryClosed(Int32(MOSQ_ERR_KEEPALIVE.rawValue)) }
    }
}
