import CMosquitto
import CMosquittoShim

/// A connection with TLS, whose `SSL` stands on memory BIOs: what was received is fed to it record by record, and what it has
/// encrypted is sent. The `SSL` is libmosquitto's, or our own where libmosquitto has no TLS (``PipedTLSStream``).
final class TLSStream: Transport {
    enum Step {
        case finished
        /// More has to be received.
        case pending
        /// ``answer(isTrusted:)`` has to say whether the broker is to be trusted.
        case asks(TLSPeer)
    }

    let context: TLSContext
    private let handle: MosquittoHandle
    /// Our own `SSL`; `nil` for libmosquitto's.
    private let own: OpaquePointer?
    private var record: UnsafeMutablePointer<cmq_tls> { context.record }

    /// The header, and the 2^14 + 2,048 bytes that TLS 1.2 allows (RFC 5246, section 6.2.3).
    private static let maximumRecord = 5 + 16_384 + 2_048

    init(_ handle: MosquittoHandle, _ context: TLSContext) {
        self.handle = handle
        self.context = context
        own = nil
    }

    /// With an `SSL` of its own.
    init(owningFor handle: MosquittoHandle, _ context: TLSContext) throws(MQTTError) {
        self.handle = handle
        self.context = context
        own = SSL_new(context.pointer)
        guard let own else { throw MosquittoHandle.systemError(ENOMEM, "OpenSSL could not make a connection") }
        SSL_set_connect_state(own)
        cmq_tls_attach(record, own)
    }

    deinit { SSL_free(own) }

    /// libmosquitto frees its own when it closes.
    private var current: OpaquePointer? { own ?? handle.ssl }

    private func ssl() throws(MQTTError) -> OpaquePointer {
        guard let ssl = current else {
            throw MQTTError(.closed, "libmosquitto has closed the connection", phase: .connected)
        }
        return ssl
    }

    // MARK: Handshake

    /// The steps of the handshake that can be made with what was received. What they produce is to be sent, even if one fails.
    func handshake(_ received: inout ByteQueue) throws(MQTTError) -> Step {
        let ssl = try ssl()
        while true {
            switch cmq_tls_handshake(record, ssl) {
            case CMQ_TLS_DONE: return .finished
            case CMQ_TLS_ASKS: return .asks(TLSPeer(ssl, host: context.verifiedName))
            case CMQ_TLS_FAILED: throw failure(phase: .tlsHandshake)
            case CMQ_TLS_CLOSED:
                throw MQTTError(.closed, "the broker closed the connection in the handshake", phase: .tlsHandshake)
            default: guard try feedRecord(&received) else { return .pending }
            }
        }
    }

    /// For the handshake to go on.
    func answer(isTrusted: Bool) { record.pointee.answer = isTrusted ? 1 : -1 }

    /// Whether the broker has asked for a client certificate in a handshake of TLS 1.3, in which it judges it afterwards.
    var mayRefuseCertificate: Bool {
        record.pointee.certificate_requested && current.map { SSL_version($0) == TLS1_3_VERSION } ?? false
    }

    /// What was negotiated.
    var info: MQTTConnectionInfo.TLS? {
        guard let ssl = current else { return nil }
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        let chosen = UnsafeBufferPointer(start: name, count: Int(length))
        return MQTTConnectionInfo.TLS(
            version: String(cString: SSL_get_version(ssl)),
            cipher: String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))),
            // With a pre-shared key OpenSSL says so of every connection in TLS 1.3.
            resumed: record.pointee.session_offered && SSL_session_reused(ssl) == 1,
            applicationProtocol: chosen.isEmpty ? nil : String(decoding: chosen, as: UTF8.self))
    }

    // MARK: Inbound

    /// Feeds the next whole record. What is no TLS is fed as it came: OpenSSL says what it is.
    private func feedRecord(_ received: inout ByteQueue) throws(MQTTError) -> Bool {
        var length = received.count
        guard length > 0 else { return false }
        if (20...24).contains(received[0]), length < 2 || received[1] == 3 {
            // RFC 8446, section 5.1: type, version, and the length of what follows.
            guard length >= 5 else { return false }
            let record = 5 + (Int(received[3]) << 8 | Int(received[4]))
            // One that is too long to be legal is not waited for: OpenSSL refuses its header.
            if record <= Self.maximumRecord {
                guard length >= record else { return false }
                length = record
            }
        }
        let isFed = received.withPrefix(length) { cmq_tls_feed(record, $0.baseAddress, $0.count) }
        guard isFed else { throw MosquittoHandle.systemError(ENOMEM, "a TLS record could not be stored") }
        received.remove(length)
        return true
    }

    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        let ssl = try ssl()
        // Not every record has something for libmosquitto: session tickets and key updates have not.
        while true {
            let count = cmq_tls_peek(record, ssl, scratch.baseAddress, Int32(scratch.count))
            switch count {
            case Int32(CMQ_TLS_WANT_MORE.rawValue): guard try feedRecord(&received) else { return nil }
            case Int32(CMQ_TLS_CLOSED.rawValue):
                throw MQTTError(.closed, "the broker closed the connection", phase: .connected)
            case Int32(CMQ_TLS_FAILED.rawValue): throw failure(phase: .connected)
            default: return Int(count)
            }
        }
    }

    /// It has it: the record was fed to its `SSL`, and only looked at.
    func handOver(_ piece: UnsafeRawBufferPointer) throws(MQTTError) {}

    func drop(_ piece: UnsafeRawBufferPointer) {
        guard let ssl = current else { return }
        withUnsafeTemporaryAllocation(byteCount: piece.count, alignment: 1) {
            cmq_tls_discard(ssl, $0.baseAddress, Int32($0.count))
        }
    }

    var unread: Int { current.map { cmq_tls_unread(record, $0) } ?? 0 }

    // MARK: Outbound

    /// Every packet of libmosquitto's is written whole, so this one fits between two of them.
    func insert(_ packet: [UInt8]) throws(MQTTError) {
        guard packet.withUnsafeBytes({ write($0) }) else { throw failure(phase: .connected) }
    }

    /// Encrypts.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let ssl = current else { return false }
        return bytes.isEmpty || cmq_tls_write(ssl, bytes.baseAddress, Int32(bytes.count))
    }

    /// libmosquitto's acknowledgements are encrypted when they get here: too late to be held.
    func release(_ packetID: UInt16, isHandled: Bool) {}

    /// Says that nothing follows (RFC 8446, section 6.1). libmosquitto does so for its own.
    func notifyOfClose() { if let own { SSL_shutdown(own) } }

    func collect(_ scratch: UnsafeMutableRawBufferPointer) -> Int { 0 }

    var unsent: Int { cmq_tls_unsent(record) }

    func send(_ socket: StreamSocket) -> Int32 { cmq_tls_send(record, socket.descriptor) }

    func rest() {
        if let ssl = current { cmq_tls_rest(record, ssl) }
    }

    private func failure(phase: MQTTError.Phase) -> MQTTError {
        TLSFailure(record, host: context.verifiedName).error(phase: phase)
    }
}
