// SPDX-License-Identifier: Apache-2.0

/// The connection to a broker: the order of the endpoints, redirections, the first connection, the local address and a
/// proxy.
public struct MQTTConnectionOptions: Sendable {
    /// The order in which ``MQTTClientConfiguration/endpoints`` are tried. Default ``MQTTEndpointOrder/ordered``.
    public var endpointOrder: MQTTEndpointOrder
    /// The policy for redirections by a broker. Default ``MQTTRedirectPolicy/none``.
    public var redirects: MQTTRedirectPolicy
    /// The handling of the first connection. Default ``MQTTFirstConnection/background``.
    public var firstConnection: MQTTFirstConnection
    /// The local IPv4 or IPv6 address to connect from. Default `nil`: the system chooses. Broker addresses of the other
    /// family are then unreachable. Not for Unix sockets.
    public var localAddress: String?
    /// The SOCKS or HTTP proxy to connect through; `nil`, the default, for a direct connection. Not for Unix sockets.
    public var proxy: MQTTProxy?
    /// True to end the delay between two attempts when a route or an address comes back to this machine, or an
    /// interface works again (Linux: rtnetlink(7); without effect elsewhere). The next attempt then follows after a
    /// random time of at most ``MQTTRetryPolicy/baseDelay``, with the event
    /// ``MQTTConnectionEvent/Kind/delayEnded(_:)``. Only delays after failures that may concern the network end.
    ///
    /// An event loop watches the network once for all its clients, through one more descriptor. It tells them at most
    /// every 5 s; while an interface comes and goes, twice as long passes each time, up to 5 min.
    ///
    /// Default `false`. The option is for machines that move between networks: vehicles, laptops, gateways with a
    /// modem. In a container it has no use, since the container's own interface stays up whatever happens to the
    /// host's; and no sign tells a container from a machine reliably enough for another default.
    public var retriesOnNetworkChange: Bool

    public init(
        endpointOrder: MQTTEndpointOrder = .ordered, redirects: MQTTRedirectPolicy = .none,
        firstConnection: MQTTFirstConnection = .background, localAddress: String? = nil, proxy: MQTTProxy? = nil,
        retriesOnNetworkChange: Bool = false
    ) {
        self.endpointOrder = endpointOrder
        self.redirects = redirects
        self.firstConnection = firstConnection
        self.localAddress = localAddress
        self.proxy = proxy
        self.retriesOnNetworkChange = retriesOnNetworkChange
    }

    func validate() throws(MQTTError) {
        if case .waitUntilConnected(let limit) = firstConnection, limit <= .zero {
            throw .invalid(
                .invalidConfiguration,
                "connection.firstConnection has a limit of \(limit); it must be above zero, or use .failFast")
        }
        if let localAddress, HostAddresses.numeric(localAddress) == nil {
            throw .invalid(
                .invalidConfiguration,
                "connection.localAddress \(quoted(localAddress)) is not an IPv4 or IPv6 address")
        }
        try proxy?.validate()
    }
}
