// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A TLS connection whose `SSL` uses memory BIOs: received bytes are fed to it record by record, and encrypted bytes
/// are sent from it.
final class TLSStream: Transport {
    enum Step {
        case finished
        /// More bytes must be received.
        case pending
        /// The handshake waits for ``answer(isTrusted:)``, which decides whether to trust the broker.
        case asks(MQTTTLSPeer)
    }

    let context: TLSContext
    private let ssl: OpaquePointer
    /// The error that ended the stream, thrown after all bytes before it were read.
    private var failure: MQTTError?
    private var record: UnsafeMutablePointer<cmq_tls> { context.record }
    private var isEstablished = false
    /// Number of transfers since the connection was last idle.
    private var uses = 0

    /// Up to this number of transfers, a turn releases its memory, of which OpenSSL's records alone take 34 KB: most
    /// clients only send a PINGREQ, and clients that connected simultaneously send it simultaneously.
    private static let fewUses = 32

    /// The largest legal record: the header, and the 2^14 + 2,048 bytes that TLS 1.2 allows (RFC 5246, section 6.2.3).
    private static let maximumRecord = 5 + TLSRecord.size + 2_048

    init(_ context: TLSContext) throws(MQTTError) {
        guard let ssl = context.start() else {
            throw .system(ENOMEM, "OpenSSL could not make a connection")
        }
        self.context = context
        self.ssl = ssl
    }

    deinit { SSL_free(ssl) }

    // MARK: Handshake

    /// Performs the steps of the handshake for which bytes were received. The bytes they produce must be sent, even if
    /// a step fails.
    func handshake(_ received: inout ByteQueue) throws(MQTTError) -> Step {
        while true {
            switch cmq_tls_handshake(record, ssl) {
            case CMQ_TLS_DONE:
                try context.authenticate(ssl)
                isEstablished = true
                return .finished
            case CMQ_TLS_ASKS: return .asks(MQTTTLSPeer(ssl, host: context.verifiedName))
            case CMQ_TLS_FAILED: throw describedFailure(.tlsHandshake)
            case CMQ_TLS_CLOSED:
                throw MQTTError(.closed, "the broker closed the connection in the handshake", phase: .tlsHandshake)
            default: guard try feedRecord(&received) else { return .pending }
            }
        }
    }

    /// Sets the decision about the broker, before the handshake is resumed.
    func answer(isTrusted: Bool) { record.pointee.answer = isTrusted ? 1 : -1 }

    /// True if the broker has asked for a client certificate in a TLS 1.3 handshake: it then checks the certificate
    /// after the handshake.
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
            group: cmq_tls_group(ssl).map { String(cString: $0) },
            // With a pre-shared key OpenSSL reports every TLS 1.3 connection as resumed.
            resumed: record.pointee.session_offered && SSL_session_reused(ssl) == 1,
            applicationProtocol: chosen.isEmpty ? nil : String(decoding: chosen, as: UTF8.self))
    }

    /// The end of the validity of the broker's verified chain, `nil` if no chain was verified.
    var certificateExpiry: Date? { context.origin?.chainExpiry }

    // MARK: Inbound

    /// Feeds the next complete record. Bytes that are not TLS are fed unchanged, so that OpenSSL reports the error.
    private func feedRecord(_ received: inout ByteQueue) throws(MQTTError) -> Bool {
        var length = received.count
        guard length > 0 else { return false }
        if (20...24).contains(received[0]), length < 2 || received[1] == 3 {
            // RFC 8446, section 5.1: type, version, and the length of what follows.
            guard length >= 5 else { return false }
            let record = 5 + (Int(received[3]) << 8 | Int(received[4]))
            // A record above the legal size is not awaited: OpenSSL rejects its header.
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

    /// Decrypts complete records into `scratch`, as far as they fit. Returns the number of bytes.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        var count = 0
        while count < scratch.count, failure == nil {
            // Since records are fed one by one, none is left when one was read to its end.
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
            // The record had no application data, such as a session ticket.
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

    /// Encrypts bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) {
        if !bytes.isEmpty, !cmq_tls_write(ssl, bytes.baseAddress, Int32(bytes.count)) {
            throw describedFailure(.connected)
        }
    }

    /// Sends close_notify to the broker (RFC 8446, section 6.1).
    func finishWriting() {
        if SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN == 0 { SSL_shutdown(ssl) }
    }

    var unsent: Int { cmq_tls_unsent(record) }

    func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress {
        if unsent > 0 { uses += 1 }
        var progress = TransportProgress()
        var bytes: UnsafeRawPointer?
        while case let length = cmq_tls_output(record, &bytes), length > 0,
            let count = progress.record(take(UnsafeRawBufferPointer(start: bytes, count: length)))
        {
            cmq_tls_sent(record, count)
        }
        if isEstablished, uses < Self.fewUses { giveBack() }
        return progress
    }

    func rest() {
        uses = 0
        giveBack()
    }

    private func giveBack() { cmq_tls_rest(record, ssl) }

    private func describedFailure(_ phase: MQTTError.Phase) -> MQTTError {
        var failure = MQTTTLSFailure(record, host: context.verifiedName)
        if phase == .tlsHandshake, context.configuration.requiresPostQuantum { failure.blameKeyExchange() }
        return failure.error(phase: phase)
    }
}
