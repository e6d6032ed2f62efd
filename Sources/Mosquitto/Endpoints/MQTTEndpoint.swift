// SPDX-License-Identifier: Apache-2.0

/// The address of a broker.
public struct MQTTEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A host name, or an IPv4 or IPv6 address without brackets, with a scope ("fe80::1%eth0") if necessary; for a Unix
    /// socket, its path.
    public var host: String
    /// The TCP port, 1 to 65,535. 0 for a Unix socket.
    public var port: Int
    /// True for the path of a Unix socket.
    public private(set) var isUnixSocket = false
    /// The request of a WebSocket connection; `nil` for MQTT without WebSockets.
    public var webSocket: WebSocket? { request?.webSocket }

    /// On the heap, since each client has several endpoints, most of them without a WebSocket.
    private var request: Request?

    /// The part of a `ws:` or `wss:` URL behind host and port (RFC 6455, section 3).
    public struct WebSocket: Sendable, Hashable {
        /// True for `wss:`, which needs ``MQTTClientConfiguration/tls``; false for `ws:`, which excludes it.
        public let isSecure: Bool
        /// The path, percent-encoded. Begins with "/".
        public let path: String
        /// The text behind the "?", percent-encoded. A secret, since a signed URL has its signature here.
        public let query: MQTTSecret?

        /// The default path.
        public static let standardPath = "/mqtt"

        /// The port if a URL names none.
        var standardPort: Int { isSecure ? 443 : 80 }
        var scheme: String { isSecure ? "wss" : "ws" }
    }

    private final class Request: Sendable, Hashable {
        let webSocket: WebSocket

        init(_ webSocket: WebSocket) { self.webSocket = webSocket }

        static func == (one: Request, other: Request) -> Bool { one.webSocket == other.webSocket }
        func hash(into hasher: inout Hasher) { hasher.combine(webSocket) }
    }

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Returns the endpoint of a Unix stream socket. With TLS, ``MQTTTLSConfiguration/serverName`` must be set to the
    /// name in the broker's certificate.
    public static func unixSocket(_ path: String) -> MQTTEndpoint {
        var endpoint = MQTTEndpoint(host: path, port: 0)
        endpoint.isUnixSocket = true
        return endpoint
    }

    /// Returns the endpoint of a WebSocket without TLS, with the subprotocol "mqtt" (MQTT 5.0, section 6).
    ///
    /// - Parameters:
    ///   - host: a host name, or an IPv4 or IPv6 address without brackets.
    ///   - port: the TCP port. Default 80.
    ///   - path: the path, percent-encoded. Default "/mqtt".
    ///   - query: the query, percent-encoded, without the "?". Default none.
    public static func webSocket(
        host: String, port: Int = 80, path: String = WebSocket.standardPath, query: MQTTSecret? = nil
    ) -> MQTTEndpoint {
        MQTTEndpoint(host: host, port: port, WebSocket(isSecure: false, path: path, query: query))
    }

    /// Returns the endpoint of a WebSocket over TLS, with the subprotocol "mqtt" (MQTT 5.0, section 6).
    ///
    /// - Parameters:
    ///   - host: a host name, or an IPv4 or IPv6 address without brackets.
    ///   - port: the TCP port. Default 443.
    ///   - path: the path, percent-encoded. Default "/mqtt".
    ///   - query: the query, percent-encoded, without the "?". Default none.
    public static func secureWebSocket(
        host: String, port: Int = 443, path: String = WebSocket.standardPath, query: MQTTSecret? = nil
    ) -> MQTTEndpoint {
        MQTTEndpoint(host: host, port: port, WebSocket(isSecure: true, path: path, query: query))
    }

    init(host: String, port: Int, _ webSocket: WebSocket?) {
        self.init(host: host, port: port)
        request = webSocket.map(Request.init)
    }

    /// "host:port", an IPv6 address in brackets; "unix:" and the path of a Unix socket; "wss://host:port/path" for a
    /// WebSocket, with "?…" for a query, which is never shown.
    public var description: String {
        if isUnixSocket { return "unix:" + host }
        guard let webSocket else { return authority }
        return "\(webSocket.scheme)://\(authority)\(webSocket.path)" + (webSocket.query == nil ? "" : "?…")
    }

    private var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The value of the header `Host` (RFC 9110, section 7.2): without the port if it is the standard one. A scope
    /// belongs to this machine, and the dot of the root to the resolver.
    var hostHeader: String {
        let name = host.withoutRootDot.prefix { $0 != "%" }
        let shown = name.contains(":") ? "[\(name)]" : String(name)
        return port == webSocket?.standardPort ? shown : "\(shown):\(port)"
    }

    /// True if the broker is on this machine, by its name or address.
    var isLocal: Bool {
        if isUnixSocket { return true }
        let name = host.lowercased().withoutRootDot
        return name == "localhost" || name.hasSuffix(".localhost")
            || (HostAddresses.numeric(name).map { $0 == "::1" || $0.hasPrefix("127.") } ?? false)
    }

    /// The `sun_path` of Linux has 108 bytes, that of Darwin 104, the NUL included.
    private static let longestPath = 103

    func validate() throws(MQTTError) {
        if isUnixSocket { return try validatePath() }
        // If a URL is given by mistake, the part that may be a password is not shown.
        let shown = host.lastIndex(of: "@").map { "…" + host[$0...] } ?? host
        if !(1...65_535).contains(port) {
            throw .invalid(.invalidConfiguration, "port \(port) of host \(quoted(shown)) is not between 1 and 65535")
        }
        if host.isEmpty { throw .invalid(.invalidConfiguration, "host is empty; give a name or an address") }
        if host.hasPrefix(".") {
            throw .invalid(.invalidConfiguration, "host \(quoted(shown)) begins with a dot; give a name or an address")
        }
        if host.utf8.count > 253 {
            throw .invalid(.invalidConfiguration, "host \(quoted(shown)) has more than 253 characters")
        }
        for scalar in host.unicodeScalars
        where scalar == " " || ForeignText.isUnprintable(scalar) || "/?#@[]\\\"'".unicodeScalars.contains(scalar) {
            throw .invalid(
                .invalidConfiguration,
                "host \(quoted(shown)) has the character \(quoted(String(scalar))); give a bare name or address, without scheme or brackets"
            )
        }
        if let webSocket {
            let flaw = RequestText.flaw(path: webSocket.path) ?? webSocket.query.flatMap { RequestText.flaw(query: $0) }
            if let flaw { throw .invalid(.invalidConfiguration, "endpoint \(quoted(description)): \(flaw)") }
        }
        // "127.1" and "2130706433" are addresses to getaddrinfo and names to OpenSSL, so that no certificate could
        // match.
        if !host.contains(":"), let address = HostAddresses.numeric(host), address != host {
            throw .invalid(
                .invalidConfiguration, "host \(quoted(host)) is an address in a short form; give all four numbers of it"
            )
        }
    }

    private func validatePath() throws(MQTTError) {
        if host.isEmpty { throw .invalid(.invalidConfiguration, "the path of the Unix socket is empty") }
        if host.utf8.contains(0) {
            throw .invalid(.invalidConfiguration, "the path \(quoted(host)) of the Unix socket has a NUL")
        }
        if host.utf8.count > Self.longestPath {
            throw .invalid(
                .invalidConfiguration,
                "the path \(quoted(host)) of the Unix socket has more than \(Self.longestPath) bytes")
        }
    }
}
