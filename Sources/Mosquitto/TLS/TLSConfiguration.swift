/// TLS towards the broker.
///
/// Without a change, the system's certificate authorities are trusted, the broker's certificate and host name are verified, and
/// TLS 1.2 is the minimum. Files are read when the client connects, and again before each attempt if they have changed.
///
/// In a file that also imports NIOSSL, write `Mosquitto.TLSConfiguration`.
public struct TLSConfiguration: Sendable {
    // MARK: Whom to trust

    /// The certificate authorities. Default ``Trust/system``.
    public var trust: Trust
    /// How much of the broker's certificate is verified. Default ``Verification/full``.
    public var verification: Verification = .full
    /// The name to verify, and to send as SNI, instead of the endpoint's host.
    public var serverName: String?
    /// Public keys of which the broker's verified chain must have one; with ``Verification/none``, which verifies no chain, the
    /// broker's own certificate. Empty, the default, for no pinning.
    public var pins: Set<TLSPublicKeyPin> = []
    /// A check of your own, made after all others have passed. It throws to refuse the broker.
    ///
    /// Runs off the event loop, within the deadline of the handshake (``MQTTTimeouts/tlsHandshake``). It is not asked when a TLS
    /// session is resumed, since no certificates are sent then; see ``resumesSessions``. (`SSL_set_retry_verify`, OpenSSL 3.0.2.)
    public var customVerification: (@Sendable (_ peer: TLSPeer) async throws -> Void)?
    /// Certificate revocation lists, and whose certificates they are asked about. `nil`, the default, for no check.
    public var revocation: Revocation?
    /// Whether the broker has to staple a good OCSP response to its certificate (RFC 6066, section 8). TLS sessions are not
    /// resumed then, since a resumption brings no new response. Default `false`.
    public var requiresOCSPStaple = false

    // MARK: What to show

    /// What to show to a broker that asks for a client certificate.
    public var identity: Identity?
    /// A key that both sides know, instead of certificates: ``trust`` and ``identity`` are not used, and a broker that shows a
    /// certificate is refused.
    public var preSharedKey: PreSharedKey?

    // MARK: The protocol

    /// The lowest version that is accepted. Default ``Version/v1_2``.
    public var minimumVersion: Version = .v1_2
    /// The highest version that is offered; `nil`, the default, for the newest that OpenSSL has.
    public var maximumVersion: Version?
    /// The ciphers of TLS 1.2 in OpenSSL's language, such as "ECDHE+AESGCM" (`SSL_CTX_set_cipher_list`); `nil` for OpenSSL's own
    /// choice.
    public var ciphers: String?
    /// The cipher suites of TLS 1.3, separated by colons, such as "TLS_AES_128_GCM_SHA256" (`SSL_CTX_set_ciphersuites`); `nil` for
    /// OpenSSL's own choice.
    public var cipherSuites: String?
    /// The groups of the key exchange, separated by colons, such as "X25519:P-256" (`SSL_CTX_set1_groups_list`); `nil` for
    /// OpenSSL's own choice.
    public var groups: String?
    /// The application protocols that are offered, the best first, such as "mqtt" (ALPN, RFC 7301). Empty, the default, for none.
    /// What the broker chose is ``MQTTConnectionInfo/TLS/applicationProtocol``.
    public var applicationProtocols: [String] = []
    /// The name in the Server Name Indication (RFC 6066, section 3). Default ``ServerNameIndication/automatic``.
    public var serverNameIndication: ServerNameIndication = .automatic
    /// Whether a later connection to the same endpoint resumes the TLS session of an earlier one (RFC 8446, section 2.2), which
    /// spares both sides the certificates. Sessions are forgotten when trust or identity change, and a ticket of TLS 1.3 is used
    /// once. Default `true`.
    public var resumesSessions = true
    /// Where to append the secrets of each connection, in the format that Wireshark reads (`SSL_CTX_set_keylog_callback`): whoever
    /// has this file can read what was sent. For debugging only; the client warns in its log. Default `nil`.
    public var keyLogFile: String?

    public init(trust: Trust = .system, identity: Identity? = nil, serverName: String? = nil) {
        self.trust = trust
        self.identity = identity
        self.serverName = serverName
    }

    /// A version of the protocol. Older ones are not supported (RFC 8996).
    public enum Version: Sendable, Hashable, Comparable {
        case v1_2, v1_3
    }

    /// How much of the broker's certificate is verified.
    public enum Verification: Sendable, Hashable {
        /// That it comes from a trusted authority, is valid now, and is for the host.
        case full
        /// The same without the name: any certificate of a trusted authority will do. The client warns in its log.
        case withoutHostName
        /// Nothing: whoever answers is believed, unless ``TLSConfiguration/pins`` or ``TLSConfiguration/customVerification`` object.
        /// Without those two, the client warns in its log at each connection.
        case none
    }

    /// The name in the Server Name Indication.
    public enum ServerNameIndication: Sendable, Hashable {
        /// The name that is verified; none if that is an address, as RFC 6066 wants it.
        case automatic
        /// None.
        case none
        /// This one, whatever is verified.
        case name(String)
    }

    /// Certificate revocation lists.
    public struct Revocation: Sendable {
        /// Whose certificates have to be on no list, of an issuer whose list is known.
        public enum Scope: Sendable, Hashable {
            /// The broker's own (`X509_V_FLAG_CRL_CHECK`).
            case broker
            /// All of the chain but the root: each issuer's list is needed (`X509_V_FLAG_CRL_CHECK_ALL`).
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
            /// A file in PEM, which may have several, or in DER.
            case file(String)
            case pem(String)
            case der([UInt8])
        }
    }

    /// A key that both sides know (RFC 4279; RFC 8446, section 2.2).
    public struct PreSharedKey: Sendable {
        /// The name of the key, at most 255 bytes without NUL; not a secret.
        public var identity: String
        /// The key itself, 1 to 256 bytes.
        public var key: MQTTSecret

        public init(identity: String, key: MQTTSecret) {
            self.identity = identity
            self.key = key
        }

        /// A key in hexadecimal digits, as mosquitto has it in its `psk_file`. Throws ``MQTTError/Code/invalidConfiguration``.
        public init(identity: String, hexadecimalKey: String) throws(MQTTError) {
            guard let bytes = Self.bytes(hexadecimal: hexadecimalKey) else {
                throw .invalid(
                    .invalidConfiguration, "TLS: the pre-shared key is not an even number of hexadecimal digits")
            }
            self.init(identity: identity, key: MQTTSecret(bytes: bytes))
        }
    }
}
