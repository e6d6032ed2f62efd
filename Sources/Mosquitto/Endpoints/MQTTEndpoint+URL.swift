// SPDX-License-Identifier: Apache-2.0

extension MQTTEndpoint {
    /// Creates the endpoint of a URL: `ws://host[:port][/path][?query]`, or `wss://…` over TLS.
    ///
    /// The default port is 80, or 443 over TLS; the default path is "/mqtt". Path and query are sent as they are: they
    /// must be percent-encoded.
    ///
    /// - Throws: ``MQTTError/Code/invalidConfiguration``. The error shows no query, which
    ///   may be signed, and no user name.
    public init(url: String) throws(MQTTError) {
        guard let endpoint = Self.parse(url[...]) else {
            throw .invalid(
                .invalidConfiguration,
                "the URL is not of the form ws://host:port/path or wss://host:port/path, without user name and fragment"
            )
        }
        try endpoint.validate()
        self = endpoint
    }

    /// Returns the endpoint of a `ws`, `wss`, `http` or `https` URL, of which the last two occur in redirections.
    static func parse(_ url: Substring) -> MQTTEndpoint? {
        guard let colon = url.firstIndex(of: ":"), url[colon...].hasPrefix("://") else { return nil }
        let isSecure: Bool
        switch url[..<colon].lowercased() {
        case "ws", "http": isSecure = false
        case "wss", "https": isSecure = true
        default: return nil
        }
        let rest = url[colon...].dropFirst(3)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        guard let (host, port) = hostAndPort(rest[..<end]) else { return nil }
        guard let (path, query) = pathAndQuery(rest[end...]) else { return nil }
        let webSocket = WebSocket(
            isSecure: isSecure, path: path.isEmpty ? WebSocket.standardPath : path, query: query.map { MQTTSecret($0) })
        return MQTTEndpoint(host: host, port: port ?? webSocket.standardPort, webSocket)
    }

    /// Returns `nil` if there is a fragment (RFC 6455, section 3).
    static func pathAndQuery(_ text: Substring) -> (path: String, query: String?)? {
        if text.contains("#") { return nil }
        guard let mark = text.firstIndex(of: "?") else { return (String(text), nil) }
        return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }

    private static func hostAndPort(_ text: Substring) -> (String, Int?)? {
        if text.isEmpty || text.contains("@") { return nil }
        var host = text
        var port: Int?
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            guard let number = Int(text[text.index(after: colon)...]) else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            // RFC 6874: `%25` separates the scope of an address.
            let address = String(host.dropFirst().dropLast()).replacing("%25", with: "%", maxReplacements: 1)
            return (address, port)
        }
        return host.contains(":") ? nil : (String(host), port)
    }

    /// Returns the target of a redirection by an HTTP server, relative to this endpoint; `nil` if the URL is no valid
    /// one, or if it would leave or enter TLS.
    func target(of location: String) -> MQTTEndpoint? {
        guard let webSocket else { return nil }
        let location: Substring = location.prefix { $0 != "#" }
        var target: MQTTEndpoint?
        if location.hasPrefix("//") {
            target = Self.parse("\(webSocket.scheme):\(location)")
        } else if location.hasPrefix("/") || location.hasPrefix("?") {
            guard let (path, query) = Self.pathAndQuery(location) else { return nil }
            target = MQTTEndpoint(
                host: host, port: port,
                WebSocket(
                    isSecure: webSocket.isSecure, path: path.isEmpty ? webSocket.path : path,
                    query: query.map { MQTTSecret($0) }))
        } else {
            target = Self.parse(location)
        }
        guard let target, target.webSocket?.isSecure == webSocket.isSecure else { return nil }
        do throws(MQTTError) { try target.validate() } catch { return nil }
        return target
    }
}
