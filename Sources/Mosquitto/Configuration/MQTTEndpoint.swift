/// Where a broker listens.
public struct MQTTEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A host name, or an IPv4 or IPv6 address without brackets.
    public var host: String
    /// The TCP port, 1 to 65,535.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// "host:port", an IPv6 address in brackets.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    func validate() throws(MQTTError) {
        // Of a URL given by mistake, what may be a password is not shown.
        let shown = host.lastIndex(of: "@").map { "…" + host[$0...] } ?? host
        if !(1...65_535).contains(port) {
            throw .invalid(.invalidConfiguration, "port \(port) of host \(quoted(shown)) is not between 1 and 65535")
        }
        if host.isEmpty { throw .invalid(.invalidConfiguration, "host is empty; give a name or an address") }
        if host.utf8.count > 253 {
            throw .invalid(.invalidConfiguration, "host \(quoted(shown)) has more than 253 characters")
        }
        for scalar in host.unicodeScalars
        where scalar.value <= 0x20 || scalar.value == 0x7F || "/?#@[]\\\"'".unicodeScalars.contains(scalar) {
            throw .invalid(
                .invalidConfiguration,
                "host \(quoted(shown)) has the character \(quoted(String(scalar))); give a bare name or address, without scheme or brackets"
            )
        }
    }
}
