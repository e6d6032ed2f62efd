// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import MosquittoTesting

@testable import Mosquitto

/// A TLS server without a socket, for handshakes with a ``TLSContext`` in memory. The server requests a client
/// certificate, and accepts any. Not thread-safe.
final class LooseServer {
    struct Failure: Error {}

    let pointer: OpaquePointer

    init(_ identity: TestIdentity, maximumVersion: Int32 = TLS1_3_VERSION) throws {
        guard let pointer = SSL_CTX_new(TLS_server_method()) else { throw Failure() }
        self.pointer = pointer
        let certificate = identity.certificatePEM.withBIO { PEM_read_bio_X509($0, nil, nil, nil) }
        let key = identity.privateKeyPEM.withBIO { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
        defer {
            X509_free(certificate)
            EVP_PKEY_free(key)
        }
        guard SSL_CTX_use_certificate(pointer, certificate) == 1, SSL_CTX_use_PrivateKey(pointer, key) == 1,
            cmq_ctx_set_versions(pointer, TLS1_2_VERSION, maximumVersion) == 1,
            SSL_CTX_set_session_id_context(pointer, [1], 1) == 1
        else { throw Failure() }
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER) { _, _ in 1 }
    }

    /// A server without a certificate or any other proof of its identity, which speaks TLS 1.2.
    static func anonymous() throws -> LooseServer {
        let server = try LooseServer(try TestCertificateAuthority().serverIdentity(), maximumVersion: TLS1_2_VERSION)
        guard SSL_CTX_set_cipher_list(server.pointer, "AECDH-AES256-SHA:@SECLEVEL=0") == 1 else { throw Failure() }
        return server
    }

    deinit { SSL_CTX_free(pointer) }

    /// The result of a finished handshake, as both sides report it.
    struct Outcome {
        let version: String
        let cipher: String
        /// The group of the key exchange.
        let group: String?
        let isResumed: Bool
        /// The name that the client has requested (SNI).
        let serverName: String?
        let applicationProtocol: String?
        /// The certificates that the client has sent, its own first.
        let clientCertificates: [MQTTTLSCertificate]
    }

    /// Opens a connection with the context, receives the tickets that the server sends after the handshake, and closes
    /// the connection.
    func handshake(with context: TLSContext) throws -> Outcome {
        let record = context.record
        guard let client = context.start(), let server = SSL_new(pointer) else {
            throw Failure()
        }
        defer {
            SSL_free(client)
            SSL_free(server)
            cmq_tls_reset(record)
        }
        guard let received = BIO_new(BIO_s_mem()), let sent = BIO_new(BIO_s_mem()) else { throw Failure() }
        SSL_set_bio(server, received, sent)
        SSL_set_accept_state(server)
        var isFinished = false
        for _ in 0..<20 where !isFinished {
            let step = cmq_tls_handshake(record, client)
            if step == CMQ_TLS_ASKS { record.pointee.answer = 1 }
            if step == CMQ_TLS_FAILED {
                throw MQTTTLSFailure(record, host: context.verifiedName).error(phase: .tlsHandshake)
            }
            _ = move(from: record.pointee.outbound, to: received)
            let isServed = SSL_do_handshake(server) == 1
            ERR_clear_error()
            let count = move(from: sent, to: record.pointee.inbound)
            isFinished = step == CMQ_TLS_DONE && isServed && count == 0
        }
        guard isFinished else { throw Failure() }
        try context.authenticate(client)
        var byte: UInt8 = 0
        _ = cmq_tls_read(record, client, &byte, 1)
        return outcome(client, server, record)
    }

    /// The bytes that were moved.
    private func move(from source: OpaquePointer?, to target: OpaquePointer?) -> Int {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        while case let length = BIO_read(source, &buffer, Int32(buffer.count)), length > 0 {
            BIO_write(target, buffer, length)
            count += Int(length)
        }
        return count
    }

    private func outcome(
        _ client: OpaquePointer, _ server: OpaquePointer, _ record: UnsafeMutablePointer<cmq_tls>
    ) -> Outcome {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(client, &name, &length)
        let chosen = UnsafeBufferPointer(start: name, count: Int(length))
        let own = SSL_get1_peer_certificate(server)
        defer { X509_free(own) }
        let others = SSL_get_peer_cert_chain(server)
        let shown =
            [own] + (0..<max(0, OPENSSL_sk_num(others))).map { OpaquePointer(OPENSSL_sk_value(others, $0)) }
        return Outcome(
            version: String(cString: SSL_get_version(client)),
            cipher: String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(client))),
            group: cmq_tls_group(client).map { String(cString: $0) },
            isResumed: SSL_session_reused(client) == 1,
            serverName: SSL_get_servername(server, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) },
            applicationProtocol: chosen.isEmpty ? nil : String(decoding: chosen, as: UTF8.self),
            clientCertificates: shown.compactMap { $0.map { MQTTTLSCertificate($0) } })
    }
}

extension String {
    fileprivate func withBIO<R>(_ body: (OpaquePointer?) -> R) -> R {
        let bytes = Array(utf8)
        return bytes.withUnsafeBytes { buffer in
            let bio = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count))
            defer { BIO_free(bio) }
            return body(bio)
        }
    }
}

extension TLSContext {
    static let testEndpoint = MQTTEndpoint(host: "a.example", port: 8_883)

    /// Prepared for a connection.
    static func prepared(
        _ configuration: MQTTTLSConfiguration, again known: TLSContext? = nil,
        for endpoint: MQTTEndpoint = testEndpoint, turn: Int = 0
    ) async throws -> TLSContext {
        try await prepare(known, configuration, for: endpoint, turn: turn)
    }
}
