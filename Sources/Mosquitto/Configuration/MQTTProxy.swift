// SPDX-License-Identifier: Apache-2.0

/// A proxy between the client and the broker: SOCKS5 (RFC 1928; `mosquitto_socks5_set`) or HTTP (CONNECT; RFC 9110,
/// section 9.3.6), in the clear or over TLS. The proxy resolves the broker's name.
///
/// The proxy does not weaken the connection: with TLS, the proxy sees only the broker's name.
///
/// An HTTP proxy that refuses ends the attempt with ``MQTTError/Code/proxy`` and ``MQTTError/httpStatus``; the article
/// <doc:Retries> has the decision for each status. Name and password are sent as Basic authentication (RFC 7617). For
/// another scheme, or for a token that expires, set ``authorization``. The article <doc:Proxies> shows both.
public struct MQTTProxy: Sendable {
    /// The protocol that a proxy speaks. More kinds may be added in later versions: a `switch` needs a `default`.
    public enum Kind: Sendable, Hashable {
        /// SOCKS, version 5.
        case socks5
        /// HTTP with the method CONNECT, over plain TCP. Many such proxies allow only port 443 by default.
        case http
        /// The same over TLS: nobody on the way to the proxy sees the broker's name or the password of the proxy.
        case https
    }

    /// The protocol that the proxy speaks.
    public var kind: Kind
    /// The proxy's host name or address.
    public var host: String
    /// The proxy's TCP port.
    public var port: Int
    /// The user name; `nil`, the default, for a proxy without authentication. At most 255 bytes; for an HTTP proxy at
    /// most 1,024, and without a colon.
    public var username: String?
    /// The password: at most 255 bytes (RFC 1929); for an HTTP proxy at most 4,096. It is sent in the clear, except
    /// with ``Kind/https``.
    public var password: MQTTSecret?
    /// Returns the value of the header `Proxy-Authorization`, such as `Bearer` and a token, at most 8,192 bytes without
    /// control characters. For an HTTP proxy, in place of ``username`` and ``password``. Default `nil`.
    ///
    /// The closure is called before **every** attempt, the first included, off the event loop. A call that takes longer
    /// than ``MQTTTimeouts/credentials`` is cancelled; the attempt then fails with ``MQTTError/Code/credentials``, as
    /// after an error, which may be an ``MQTTCredentialError``. After a 407 or 401 the purpose of the attempt is
    /// ``MQTTConnectAttempt/Purpose/rejected``: a cached value must not be returned again.
    public var authorization: (@Sendable (MQTTConnectAttempt) async throws -> MQTTSecret)?
    /// The TLS session with a proxy of the kind ``Kind/https``, which carries the broker's. Its certificate must be for
    /// ``host``, or ``MQTTTLSConfiguration/serverName``. Without effect for the other kinds.
    ///
    /// By default the system's authorities are trusted. A failure has the code ``MQTTError/Code/proxy`` (unusable
    /// settings: ``MQTTError/Code/tlsConfiguration``) and ``MQTTError/tls`` with ``MQTTTLSFailure/isProxy``. The
    /// handshake is a part of the phase `connect`, with its time limit, ``MQTTTimeouts/connect``.
    /// ``MQTTTLSConfiguration/reconnectsAtCertificateExpiry`` has no effect here.
    public var tls: MQTTTLSConfiguration {
        get { boxedTLS?.value ?? MQTTTLSConfiguration() }
        set { boxedTLS = BoxedTLS(newValue) }
    }
    /// On the heap, since most clients have none.
    private(set) var boxedTLS: BoxedTLS?

    final class BoxedTLS: Sendable {
        let value: MQTTTLSConfiguration

        init(_ value: MQTTTLSConfiguration) { self.value = value }
    }

    /// The brokers that are connected to directly, in the form of `NO_PROXY`; see ``fromEnvironment()``. Default none.
    public var exceptions: [String] = []

    /// A SOCKS5 proxy. The default port is 1080.
    public init(host: String, port: Int = 1_080, username: String? = nil, password: MQTTSecret? = nil) {
        self.init(.socks5, host: host, port: port, username: username, password: password)
    }

    init(_ kind: Kind, host: String, port: Int, username: String?, password: MQTTSecret?) {
        self.kind = kind
        self.host = host
        self.port = port
        self.username = username
        self.password = password
    }

    /// Returns an HTTP proxy without authentication, or with a user name and password.
    public static func http(
        host: String, port: Int, username: String? = nil, password: MQTTSecret? = nil
    ) -> MQTTProxy {
        MQTTProxy(.http, host: host, port: port, username: username, password: password)
    }

    /// Returns an HTTP proxy with an ``authorization`` of your own.
    public static func http(
        host: String, port: Int, authorization: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTSecret
    ) -> MQTTProxy {
        var proxy = MQTTProxy(.http, host: host, port: port, username: nil, password: nil)
        proxy.authorization = authorization
        return proxy
    }

    /// Returns an HTTP proxy behind TLS, without authentication or with a user name and password.
    /// The TLS settings are those of the proxy: by default it is verified with the system's authorities.
    public static func https(
        host: String, port: Int, tls: MQTTTLSConfiguration = MQTTTLSConfiguration(), username: String? = nil,
        password: MQTTSecret? = nil
    ) -> MQTTProxy {
        var proxy = MQTTProxy(.https, host: host, port: port, username: username, password: password)
        proxy.tls = tls
        return proxy
    }

    /// Returns an HTTP proxy behind TLS, with an ``authorization`` of your own.
    /// The TLS settings are those of the proxy: by default it is verified with the system's authorities.
    public static func https(
        host: String, port: Int, tls: MQTTTLSConfiguration = MQTTTLSConfiguration(),
        authorization: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTSecret
    ) -> MQTTProxy {
        var proxy = MQTTProxy(.https, host: host, port: port, username: nil, password: nil)
        proxy.tls = tls
        proxy.authorization = authorization
        return proxy
    }

    /// The proxy's own address.
    var endpoint: MQTTEndpoint { MQTTEndpoint(host: host, port: port) }

    /// True if the broker is reached through the proxy.
    package func serves(_ endpoint: MQTTEndpoint) -> Bool {
        !endpoint.isUnixSocket && !ProxyExceptions(exceptions).contain(endpoint)
    }

    func validate() throws(MQTTError) {
        do throws(MQTTError) {
            try endpoint.validate()
        } catch {
            throw .invalid(.invalidConfiguration, "the proxy's \(error.message)")
        }
        if authorization != nil, kind == .socks5 || username != nil || password != nil {
            throw .invalid(
                .invalidConfiguration,
                "the proxy's authorization is for an HTTP proxy, in place of a user name and password")
        }
        try validateCredentials()
        guard kind == .https else { return }
        do throws(MQTTError) { try tls.validate() } catch {
            throw .invalid(.invalidConfiguration, "the proxy's \(error.message)")
        }
    }

    private func validateCredentials() throws(MQTTError) {
        let isHTTP = kind != .socks5
        let limits = isHTTP ? (username: 1_024, password: 4_096) : (username: 255, password: 255)
        if let username {
            guard (1...limits.username).contains(username.utf8.count) else {
                throw .invalid(
                    .invalidConfiguration, "the proxy's user name must have 1 to \(limits.username) bytes")
            }
            if isHTTP, username.contains(":") || username.unicodeScalars.contains(where: { $0.value < 0x20 }) {
                throw .invalid(
                    .invalidConfiguration,
                    "the user name of an HTTP proxy has a colon or a control character (RFC 7617, section 2)")
            }
        }
        if let password {
            if username == nil {
                throw .invalid(.invalidConfiguration, "the proxy's password needs a user name")
            }
            if password.count > limits.password {
                throw .invalid(
                    .invalidConfiguration, "the proxy's password has more than \(limits.password) bytes")
            }
        }
    }
}
