/// A SOCKS5 proxy between the client and the broker (RFC 1928; `mosquitto_socks5_set`). The proxy resolves the broker's
/// name.
///
/// The proxy does not weaken the connection: with TLS, the proxy sees only the broker's name.
public struct MQTTProxy: Sendable {
    /// The proxy's host name or address.
    public var host: String
    /// The proxy's TCP port. Default 1080.
    public var port: Int
    /// The user name, at most 255 bytes; `nil`, the default, for a proxy without authentication.
    public var username: String?
    /// The password, at most 255 bytes (RFC 1929). It is sent in the clear.
    public var password: MQTTSecret?

    public init(host: String, port: Int = 1_080, username: String? = nil, password: MQTTSecret? = nil) {
        self.host = host
        self.port = port
        self.username = username
        self.password = password
    }

    func validate() throws(MQTTError) {
        do throws(MQTTError) {
            try MQTTEndpoint(host: host, port: port).validate()
        } catch {
            throw .invalid(.invalidConfiguration, "the proxy's \(error.message)")
        }
        if let username, !(1...255).contains(username.utf8.count) {
            throw .invalid(.invalidConfiguration, "the proxy's user name must have 1 to 255 bytes")
        }
        if let password {
            if username == nil {
                throw .invalid(.invalidConfiguration, "the proxy's password needs a user name")
            }
            if password.withBytes({ $0.count }) > 255 {
                throw .invalid(.invalidConfiguration, "the proxy's password has more than 255 bytes")
            }
        }
    }
}
