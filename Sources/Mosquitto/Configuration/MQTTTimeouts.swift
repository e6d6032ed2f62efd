// SPDX-License-Identifier: Apache-2.0

/// The time limits of a connection attempt, and of the end of a connection.
public struct MQTTTimeouts: Sendable, Hashable {
    /// Limit for each request to the credential provider, for each preparation of a WebSocket request, and for each
    /// step of an authenticator. Default 10 s.
    public var credentials: Duration = .seconds(10)
    /// Limit for loading the TLS files, asking the TLS providers and resolving the host name. Default 10 s.
    public var resolve: Duration = .seconds(10)
    /// Limit for the TCP connection, for all addresses of the host together. Default 10 s.
    public var connect: Duration = .seconds(10)
    /// Limit for the TLS handshake, including ``MQTTTLSConfiguration/customVerification``. Default 10 s.
    public var tlsHandshake: Duration = .seconds(10)
    /// Limit for the upgrade to a WebSocket, from the request to the whole answer. Default 10 s.
    public var upgrade: Duration = .seconds(10)
    /// Limit for the CONNACK. Default 10 s.
    public var connack: Duration = .seconds(10)
    /// Limit for the whole attempt, except for the credential provider. Default 30 s.
    public var attempt: Duration = .seconds(30)
    /// The time without progress after which a shutdown or a rotation stops waiting for messages to be sent and
    /// acknowledged, and sends the DISCONNECT. A shutdown also waits for the PUBREL of received QoS 2 messages. Bytes
    /// that leave this machine count as progress. If messages are waiting, a shutdown gives the same time to an attempt
    /// in progress. Default 5 s.
    public var drain: Duration = .seconds(5)
    /// The time for which the client waits for the broker to close its side after the DISCONNECT was sent. Default 1 s.
    public var close: Duration = .seconds(1)

    public init() {}

    func validate() throws(MQTTError) {
        for (name, value) in [
            ("credentials", credentials), ("resolve", resolve), ("connect", connect), ("tlsHandshake", tlsHandshake),
            ("upgrade", upgrade), ("connack", connack), ("attempt", attempt),
        ] where value <= .zero {
            throw .invalid(.invalidConfiguration, "timeout \(name) is \(value); it must be above zero")
        }
        if drain < .zero || close < .zero {
            throw .invalid(.invalidConfiguration, "timeouts drain and close must not be negative")
        }
    }
}
