// SPDX-License-Identifier: Apache-2.0

/// The proof of the broker's identity in a finished handshake.
///
/// OpenSSL calls no verify callback where the negotiated cipher needs no certificate. A handshake that succeeds is
/// therefore no proof by itself: ``proof(in:)`` decides, after each handshake and before CONNECT is composed.
enum TLSAuthentication: Hashable {
    /// A certificate has passed all configured checks in this handshake.
    case certificate
    /// The broker has the configured pre-shared key.
    case preSharedKey
    /// The session began with one of the others, within its limits.
    case resumption

    /// The facts of a finished handshake.
    struct Facts {
        /// True if the client has offered an earlier session, which is within its limits.
        var offeredSession: Bool
        /// True if OpenSSL reports a session that is used again. In TLS 1.3 a pre-shared key counts as one.
        var isReused: Bool
        /// True if the configuration has a pre-shared key, which then takes the place of certificates.
        var needsKey: Bool
        /// True if OpenSSL has asked for the key, and taken it.
        var gaveKey: Bool
        /// True if the cipher of TLS 1.2 authenticates by a pre-shared key alone.
        var isKeyCipher: Bool
        var isVersion1_3: Bool
        /// True if the broker has sent a certificate.
        var hasCertificate: Bool
        /// True if a certificate has passed all checks in this handshake.
        var isVerified: Bool
        /// True if the configuration requires an OCSP response.
        var needsStaple: Bool
        /// True if a good response has come in this handshake.
        var isStapled: Bool
    }

    /// Returns the proof, or `nil` if there is none.
    static func proof(in facts: Facts) -> TLSAuthentication? {
        if facts.offeredSession, facts.isReused { return facts.needsStaple ? nil : .resumption }
        if facts.needsKey {
            // TLS 1.3: the server has chosen the key, instead of a certificate.
            let isUsed = facts.isVersion1_3 ? facts.isReused : facts.isKeyCipher
            return facts.gaveKey && isUsed ? .preSharedKey : nil
        }
        guard !facts.isReused, facts.hasCertificate, facts.isVerified else { return nil }
        return facts.needsStaple && !facts.isStapled ? nil : .certificate
    }
}
