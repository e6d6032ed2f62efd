extension ScriptedBroker {
    /// All CONNECT packets, in order of arrival. Also those that the script or the authentication refused.
    public var connects: [ReceivedConnect] { record.withState { $0.connects } }

    /// How many TCP connections were accepted.
    public var acceptedConnections: Int { record.withState { $0.acceptTimes.count } }

    /// When each TCP connection was accepted.
    public var acceptTimes: [ContinuousClock.Instant] { record.withState { $0.acceptTimes } }

    /// How many TCP connections are open.
    public var openConnections: Int { record.withState { $0.openConnections } }

    /// All packets, in order of arrival. Without PUBLISH and its acknowledgements if ``recordPublishes`` is `false`.
    public var receivedPackets: [ReceivedPacket] { record.withState { $0.packets } }

    /// The reason codes of all DISCONNECT packets: `nil` for MQTT 3.1.1, which has none, 0 for a 5.0 packet that
    /// leaves it out.
    public var disconnects: [UInt8?] { record.withState { $0.disconnects } }

    /// All PUBLISH packets, in order of arrival, those that were sent again too. Empty if ``recordPublishes`` is
    /// `false`.
    public var publishes: [ReceivedPublish] { record.withState { $0.publishes } }

    /// How many PUBLISH packets arrived, whether they are recorded or not.
    public var publishCount: Int { record.withState { $0.publishCount } }

    /// All messages that were given to subscribers, in order, each QoS 2 message once. Wills and messages of the
    /// broker itself (with an empty client identifier) are among them. Empty if ``recordPublishes`` is `false`.
    public var routedMessages: [ReceivedPublish] { record.withState { $0.routed } }

    /// How many messages were given to subscribers, whether they are recorded or not.
    public var routedCount: Int { record.withState { $0.routedCount } }

    /// Failed TLS handshakes, malformed packets and violations of the protocol, as text, each with its connection.
    public var errors: [String] { record.withState { $0.errors } }

    /// How many bytes of MQTT arrived on all connections together, after TLS decryption.
    public var applicationBytesReceived: Int { record.withState { $0.applicationBytes } }

    /// Whether PUBLISH packets and their acknowledgements are recorded one by one. Turn it off for benchmarks; they
    /// are counted nevertheless.
    public var recordPublishes: Bool {
        get { record.withState { $0.recordsPublishes } }
        set { record.withState { $0.recordsPublishes = newValue } }
    }

    /// Waits until a condition on what was recorded holds, and says whether it did.
    ///
    /// The condition is evaluated every 2 ms, hence it should be one that stays true once it is.
    ///
    /// - Returns: `false` after the timeout, or if the task is cancelled.
    public func waitUntil(
        timeout: Duration = .seconds(30),
        _ condition: @Sendable (ScriptedBroker) -> Bool
    ) async -> Bool {
        await eventually(timeout: timeout, pollEvery: .milliseconds(2)) { condition(self) }
    }
}
