// SPDX-License-Identifier: Apache-2.0

/// The TLS configuration of a connection to the broker.
///
/// By default the client trusts the system's certificate authorities, verifies the broker's certificate and host name,
/// and requires TLS 1.2. Files are read when the client connects, and again before each attempt if they have changed.
public struct MQTTTLSConfiguration: Sendable {
    // MARK: Trust

    /// The certificate authorities. Default ``Trust/system``.
    public var trust: Trust
    /// The extent of the verification of the broker's certificate. Default ``Verification/full``.
    public var verification: Verification = .full
    /// True if the common name of a certificate without any subject alternative name may be the broker's name, as with
    /// mosquitto's clients. Default `false`: a common name is no name of a server (RFC 9525, section 6.3).
    public var acceptsCommonName = false
    /// The name to verify, and to send as SNI, instead of the endpoint's host.
    public var serverName: String?
    /// Pinned public keys, of which the broker's verified chain must contain one; with ``Verification/none``, which
    /// verifies no chain, the broker's own certificate must match. Empty, the default, for no pinning.
    public var pins: Set<MQTTTLSPublicKeyPin> = []
    /// A custom check of the broker, called after all others have passed. It throws to reject the broker.
    ///
    /// The check runs off the event loop, within the time limit of the handshake (``MQTTTimeouts/tlsHandshake``). It is
    /// not called when a TLS session is resumed, since the broker then sends no certificates: unless
    /// ``resumesSessions`` asks for that, no session is resumed. (`SSL_set_retry_verify`, OpenSSL 3.0.2.)
    public var customVerification: (@Sendable (_ peer: MQTTTLSPeer) async throws -> Void)?
    /// Certificate revocation lists, and the certificates to check against them. `nil`, the default, for no check.
    public var revocation: Revocation?
    /// True if the broker must staple a good OCSP response to its certificate (RFC 6066, section 8). TLS sessions are
    /// then not resumed, since a resumption carries no new response. Default `false`.
    public var requiresOCSPStaple = false

    // MARK: Client identity

    /// The client certificate and key to present to a broker that asks for them.
    public var identity: Identity?
    /// A pre-shared key instead of certificates: ``trust`` and ``identity`` are ignored, and a broker that presents a
    /// certificate is rejected.
    public var preSharedKey: PreSharedKey?

    // MARK: Protocol

    /// The lowest accepted version. Default ``Version/v1_2``.
    public var minimumVersion: Version = .v1_2
    /// The highest offered version; `nil`, the default, for the newest that OpenSSL supports.
    public var maximumVersion: Version?
    /// The ciphers of TLS 1.2 in OpenSSL's syntax, such as "ECDHE+AESGCM" (`SSL_CTX_set_cipher_list`); `nil` for
    /// OpenSSL's default. Ciphers without authentication or encryption are excluded, whatever the list says.
    ///
    /// OpenSSL's security level, which also concerns keys, certificates and TLS 1.3, is at least 2 (RSA and DH of 2,048
    /// bits). "@SECLEVEL=1" at the end of the list sets a lower one; the client then logs a warning at each connection.
    public var ciphers: String?
    /// The cipher suites of TLS 1.3, separated by colons, such as "TLS_AES_128_GCM_SHA256"
    /// (`SSL_CTX_set_ciphersuites`); `nil` for OpenSSL's default.
    public var cipherSuites: String?
    /// The groups of the key exchange, separated by colons, such as "X25519:P-256" (`SSL_CTX_set1_groups_list`); `nil`
    /// for OpenSSL's default.
    public var groups: String?
    /// True to accept no key exchange but one that withstands a quantum computer: ML-KEM (FIPS 203), alone or together
    /// with a classical group. Traffic that is recorded today then stays secret. Default `false`, with which OpenSSL
    /// 3.5 and newer prefer such a group if the broker has one.
    ///
    /// The client then offers TLS 1.3 and such groups only, those of ``groups`` or all that OpenSSL has. A broker
    /// without them fails the handshake with ``MQTTTLSFailure/Kind/notPostQuantum``, before a certificate or CONNECT is
    /// sent. An OpenSSL without them, as before 3.5, is an error of the configuration
    /// (``MQTTError/Code/tlsConfiguration``). The certificates of both sides remain classical: nobody can forge them
    /// afterwards.
    public var requiresPostQuantum = false
    /// The offered application protocols in order of preference, such as "mqtt" (ALPN, RFC 7301). Empty, the default,
    /// for none. ``MQTTConnectionInfo/TLS/applicationProtocol`` is the broker's choice.
    public var applicationProtocols: [String] = []
    /// The name in the Server Name Indication (RFC 6066, section 3). Default ``ServerNameIndication/automatic``.
    public var serverNameIndication: ServerNameIndication = .automatic
    /// True to resume the TLS session of an earlier connection to the same endpoint (RFC 8446, section 2.2), without an
    /// exchange of certificates. Sessions are discarded when trust or identity change, and a TLS 1.3 ticket is used
    /// only once.
    ///
    /// A resumption verifies nothing anew, so a session ends at the latest with ``maximumSessionAge``, when a
    /// certificate of the verified chain expires, and when a list of ``revocation`` is due for its update. `nil`, the
    /// default, for `true` without ``customVerification`` and `false` with it. Never with ``requiresOCSPStaple``.
    public var resumesSessions: Bool?
    /// The longest time since the last full verification of the broker for which sessions are resumed. Default 24 h.
    public var maximumSessionAge: Duration = .seconds(86_400)
    /// True to end an established connection gracefully, and to connect anew, when a certificate of the broker's
    /// verified chain expires. A broker that has renewed its certificate is verified again, and any other is refused.
    /// Without effect with ``Verification/none`` and with a pre-shared key. Default `true`.
    public var reconnectsAtCertificateExpiry = true
    /// The file to which the secrets of each connection are appended, in Wireshark's format
    /// (`SSL_CTX_set_keylog_callback`): whoever has this file can decrypt the traffic. For debugging only; the client
    /// logs a warning. Default `nil`.
    public var keyLogFile: String?

    public init(trust: Trust = .system, identity: Identity? = nil, serverName: String? = nil) {
        self.trust = trust
        self.identity = identity
        self.serverName = serverName
    }

    /// A version of TLS. Older ones are not supported (RFC 8996).
    public enum Version: Sendable, Hashable, Comparable {
        case v1_2, v1_3
    }

    /// The extent of the verification of the broker's certificate.
    public enum Verification: Sendable, Hashable {
        /// Verify that the certificate is issued by a trusted authority, is currently valid, and names the host.
        case full
        /// Verify everything except the name: any certificate of a trusted authority is accepted. The client logs a
        /// warning.
        case withoutHostName
        /// Verify nothing: any broker is accepted, unless ``MQTTTLSConfiguration/pins`` or
        /// ``MQTTTLSConfiguration/customVerification`` reject it. Without those two, the client logs a warning at each
        /// connection.
        case none
    }

    /// The name in the Server Name Indication.
    public enum ServerNameIndication: Sendable, Hashable {
        /// Send the verified name; none if it is an address, as RFC 6066 requires.
        case automatic
        /// Send no name.
        case none
        /// Send this name, whichever name is verified.
        case name(String)
    }

    /// Certificate revocation lists.
    public struct Revocation: Sendable {
        /// The certificates that are checked against the lists of their issuers.
        public enum Scope: Sendable, Hashable {
            /// The broker's own certificate (`X509_V_FLAG_CRL_CHECK`).
            case broker
            /// All certificates of the chain except the root: the list of each issuer is required
            /// (`X509_V_FLAG_CRL_CHECK_ALL`).
            case chain
        }

        /// The lists: files, or PEM or DER in memory.
        public var lists: [List]
        public var scope: Scope

        public init(_ lists: List..., scope: Scope = .broker) {
            self.lists = lists
            self.scope = scope
        }

        public enum List: Sendable, Hashable {
            /// A file in PEM, which may contain several lists, or in DER.
            case file(String)
            case pem(String)
            case der([UInt8])
        }
    }

    /// A pre-shared key (RFC 4279; RFC 8446, section 2.2).
    public struct PreSharedKey: Sendable {
        /// The name of the key, at most 255 bytes without NUL; not a secret.
        public var identity: String
        /// The key, 16 to 256 bytes, which must be random: an attacker can guess a short one, or a word, offline.
        public var key: MQTTSecret

        public init(identity: String, key: MQTTSecret) {
            self.identity = identity
            self.key = key
        }

        /// Creates a key from hexadecimal digits, the format of mosquitto's `psk_file`. Throws
        /// ``MQTTError/Code/invalidConfiguration``.
        public init(identity: String, hexadecimalKey: String) throws(MQTTError) {
            guard let bytes = Self.bytes(hexadecimal: hexadecimalKey) else {
                throw .invalid(
                    .invalidConfiguration, "TLS: the pre-shared key is not an even number of hexadecimal digits")
            }
            self.init(identity: identity, key: MQTTSecret(bytes: bytes))
        }
    }
}
