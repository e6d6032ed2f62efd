import CMosquitto
import CMosquittoShim

/// A connection with TLS, whose `SSL` stands on memory BIOs: what was received is fed to it record by record, and what
/// it has encrypted is sent.
final class TLSStream: Transport {
    enum Step {
        case finished
        /// More has to be received.
        case pending
        /// ``answer(isTrusted:)`` has to say whether the broker is to be trusted.
        case asks(TLSPeer)
    }

    let context: TLSContext
    private let ssl: OpaquePointer
    /// The reason why the stream ended, for when all that came before it is taken.
    private var failure: MQTTError?
    private var record: UnsafeMutablePointer<cmq_tls> { context.record }
    private var isEstablished = false
    /// The number of transfers since the connection was quiet.
    private var uses = 0

    /// Up to here a turn gives back what it needed, which is 34 KB for OpenSSL's records alone: of many clients most
    /// have a PINGREQ to send, and all at the same time if they have connected at the same time.
    private static let fewUses = 32

    /// The header, and the 2^14 + 2,048 bytes that TLS 1.2 allows (RFC 5246, section 6.2.3).
    private static let maximumRecord = 5 + 16_384 + 2_048

    init(_ context: TLSContext) throws(MQTTError) {
        guard let ssl = cmq_tls_start(context.record, context.pointer) else {
            throw .system(ENOMEM, "OpenSSL could not make a connection")
        }
        self.context = context
        self.ssl = ssl
    }

    deinit { SSL_free(ssl) }

    // MARK: Handshake

    /// The steps of the handshake that can be made with what was received. What they produce is to be sent, even if one
    /// fails.
    func handshake(_ received: inout ByteQueue) throws(MQTTError) -> Step {
        while true {
            switch cmq_tls_handshake(record, ssl) {
            case CMQ_TLS_DONE:
                isEstablished = true
                return .finished
            case CMQ_TLS_ASKS: return .asks(TLSPeer(ssl, host: context.verifiedName))
            case CMQ_TLS_FAILED: throw describedFailure(.tlsHandshake)
            case CMQ_TLS_CLOSED:
                throw MQTTError(.closed, "the broker closed the connection in the handshake", phase: .tlsHandshake)
            default: guard try feedRecord(&received) else { return .pending }
            }
        }
    }

    /// For the handshake to go on.
    func answer(isTrusted: Bool) { record.pointee.answer = isTrusted ? 1 : -1 }

    /// True if the broker has asked for a client certificate in a handshake of TLS 1.3, in which it judges it
    /// afterwards.
    var mayRefuseCertificate: Bool {
        record.pointee.certificate_requested && SSL_version(ssl) == TLS1_3_VERSION
    }

    /// The result of the negotiation.
    var info: MQTTConnectionInfo.TLS {
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
        guard isFed else { throw .system(ENOMEM, "a TLS record could not be stored") }
        received.remove(length)
        return true
    }

    /// Returns the content of the records that are there, as far as it fits.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        var count = 0
        while count < scratch.count, failure == nil {
            // As records are fed one by one, there is no other when one is read to its end.
            if SSL_pending(ssl) == 0 {
                do throws(MQTTError) {
                    guard try feedRecord(&received) else { return count > 0 ? count : nil }
                } catch {
                    failure = error
                    break
                }
            }
            let step = cmq_tls_read(record, ssl, scratch.baseAddress! + count, Int32(scratch.count - count))
            switch step {
            // It was a record of another kind, such as a session ticket.
            case Int32(CMQ_TLS_WANT_MORE.rawValue): continue
            case Int32(CMQ_TLS_CLOSED.rawValue):
                failure = MQTTError(.closed, "the broker closed the connection", phase: .connected)
            case Int32(CMQ_TLS_FAILED.rawValue): failure = describedFailure(.connected)
            default:
                uses += 1
                count += Int(step)
            }
        }
        if count == 0, let failure { throw failure }
        return count
    }

    // MARK: Outbound

    /// Encrypts.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) {
        if !bytes.isEmpty, !cmq_tls_write(ssl, bytes.baseAddress, Int32(bytes.count)) {
            throw describedFailure(.connected)
        }
    }

    /// Says so to the broker (RFC 8446, section 6.1).
    func finishWriting() {
        if SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN == 0 { SSL_shutdown(ssl) }
    }

    var unsent: Int { cmq_tls_unsent(record) }

    func send(_ socket: StreamSocket) -> Int32 {
        if unsent > 0 { uses += 1 }
        let code = cmq_tls_send(record, socket.descriptor)
        if isEstablished, uses < Self.fewUses { giveBack() }
        return code
    }

    func rest() {
        uses = 0
        giveBack()
    }

    private func giveBack() { cmq_tls_rest(record, ssl) }

    private func describedFailure(_ phase: MQTTError.Phase) -> MQTTError {
        TLSFailure(record, host: context.verifiedName).error(phase: phase)
    }
}
