// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The start of a connection, and the proof of the broker's identity at the end of its handshake.
extension TLSContext {
    /// Returns a new `SSL`, which offers the session of an earlier connection if that is within its limits.
    func start() -> OpaquePointer? {
        let mayResume = origin?.permits(age: configuration.maximumSessionAge, now: clock.read()) ?? false
        if !mayResume {
            cmq_tls_forget_session(record)
        }
        let ssl = cmq_tls_start(record, pointer)
        offeredOrigin = record.pointee.session_offered ? origin : nil
        origin = nil
        return ssl
    }

    /// Throws unless the broker has authenticated itself in the finished handshake: the one place that decides.
    /// Sessions are kept only from here on.
    func authenticate(_ ssl: OpaquePointer) throws(MQTTError) {
        guard let proof = TLSAuthentication.proof(in: facts(of: ssl)) else {
            cmq_tls_forget_session(record)
            let cipher = String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)))
            throw MQTTTLSFailure(.unauthenticated, reason: "no certificate or key was verified with \(cipher)")
                .error(phase: .tlsHandshake)
        }
        try checkKeyExchange(of: ssl)
        origin = proof == .resumption ? offeredOrigin : newOrigin(ssl)
    }

    /// Throws if the configuration requires a post-quantum key exchange, and this one is none. OpenSSL was not to agree
    /// to one: the client does not rely on that.
    private func checkKeyExchange(of ssl: OpaquePointer) throws(MQTTError) {
        guard configuration.requiresPostQuantum else { return }
        let group = cmq_tls_group(ssl).map { String(cString: $0) }
        if let group, PostQuantum.isGroup(group) { return }
        cmq_tls_forget_session(record)
        throw MQTTTLSFailure(.notPostQuantum, reason: "the key exchange was \(group ?? "of an unknown group")")
            .error(phase: .tlsHandshake)
    }

    private func facts(of ssl: OpaquePointer) -> TLSAuthentication.Facts {
        TLSAuthentication.Facts(
            offeredSession: offeredOrigin != nil, isReused: SSL_session_reused(ssl) == 1,
            needsKey: configuration.preSharedKey != nil, gaveKey: record.pointee.gave_psk,
            isKeyCipher: SSL_CIPHER_get_auth_nid(SSL_get_current_cipher(ssl)) == NID_auth_psk,
            isVersion1_3: SSL_version(ssl) == TLS1_3_VERSION, hasCertificate: SSL_get0_peer_certificate(ssl) != nil,
            isVerified: record.pointee.is_verified, needsStaple: configuration.requiresOCSPStaple,
            isStapled: record.pointee.is_stapled)
    }

    private func newOrigin(_ ssl: OpaquePointer) -> TLSSessionOrigin {
        func date(_ seconds: Int64) -> Date? {
            seconds == .max ? nil : Date(timeIntervalSince1970: Double(seconds))
        }
        let lists = configuration.revocation.map {
            cmq_tls_lists_next_update(ssl, record.pointee.trust, $0.scope == .chain)
        }
        return TLSSessionOrigin(
            time: clock.read().uptime, chainExpiry: date(cmq_tls_chain_not_after(ssl)),
            listExpiry: lists.flatMap(date))
    }
}
