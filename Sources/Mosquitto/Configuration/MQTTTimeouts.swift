/// The deadlines of one attempt to connect, and of the end of a connection.
public struct MQTTTimeouts: Sendable, Hashable {
    /// For each question to the credential provider, and for each step of an authenticator. Default 10 s.
    public var credentials: Duration = .seconds(10)
    /// For the name look-up, and before it for what TLS needs: its files and providers. Default 10 s.
    public var resolve: Duration = .seconds(10)
    /// For TCP, all addresses of the host together. Default 10 s.
    public var connect: Duration = .seconds(10)
    /// For the TLS handshake, with your own verification if there is one. Default 10 s.
    public var tlsHandshake: Duration = .seconds(10)
    /// For the CONNACK. Default 10 s.
    public var connack: Duration = .seconds(10)
    /// For all of it but the credential provider. Default 30 s.
    public var attempt: Duration = .seconds(30)
    /// The time without progress after which a shutdown or a rotation stops waiting for messages to be sent and acknowledged, and
    /// sends the DISCONNECT; a shutdown also waits for the broker's PUBREL of QoS 2 messages that have come. Bytes that leave this
    /// machine are progress. A shutdown gives an attempt that is under way as long, if messages wait. Default 5 s.
    public var drain: Duration = .seconds(5)
    /// The time that the broker has to close its side, from the moment the DISCONNECT has been sent. Default 1 s.
    public var close: Duration = .seconds(1)

    public init() {}

    func validate() throws(MQTTError) {
        for (name, value) in [
            ("credentials", credentials), ("resolve", resolve), ("connect", connect), ("tlsHandshake", tlsHandshake),
            ("connack", connack), ("attempt", attempt),
        ] where value <= .zero {
            throw .invalid(.invalidConfiguration, "timeout \(name) is \(value); it must be above zero")
        }
        if drain < .zero || close < .zero {
            throw .invalid(.invalidConfiguration, "timeouts drain and close must not be negative")
        }
    }
}
