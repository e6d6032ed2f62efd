// SPDX-License-Identifier: Apache-2.0

extension ScriptedBroker {
    /// All CONNECT packets, in order of arrival, including those that the script or the authentication refused.
    public var connects: [ReceivedConnect] { record.withState { $0.connects } }

    /// Number of TCP connections accepted so far.
    public var acceptedConnections: Int { record.withState { $0.acceptTimes.count } }

    /// The time at which each TCP connection was accepted.
    public var acceptTimes: [ContinuousClock.Instant] { record.withState { $0.acceptTimes } }

    /// Number of open TCP connections.
    public var openConnections: Int { record.withState { $0.openConnections } }

    /// All packets, in order of arrival, without PUBLISH and its acknowledgements if ``recordPublishes`` is `false`.
    public var receivedPackets: [ReceivedPacket] { record.withState { $0.packets } }

    /// The reason codes of all DISCONNECT packets: `nil` for MQTT 3.1.1, which has no reason code, and 0 for a 5.0
    /// packet that leaves the code out.
    public var disconnects: [UInt8?] { record.withState { $0.disconnects } }

    /// All PUBLISH packets, in order of arrival, including resent ones. Empty if ``recordPublishes`` is `false`.
    public var publishes: [ReceivedPublish] { record.withState { $0.publishes } }

    /// Number of PUBLISH packets received, recorded or not.
    public var publishCount: Int { record.withState { $0.publishCount } }

    /// All messages routed to subscribers, in order, each QoS 2 message once. Includes wills and the broker's own
    /// messages, whose client identifier is empty. Empty if ``recordPublishes`` is `false`.
    public var routedMessages: [ReceivedPublish] { record.withState { $0.routed } }

    /// Number of messages routed to subscribers, recorded or not.
    public var routedCount: Int { record.withState { $0.routedCount } }

    /// Failed TLS handshakes, malformed packets and violations of the protocol, as text, each with its connection.
    public var errors: [String] { record.withState { $0.errors } }

    /// Number of MQTT bytes received on all connections together, after TLS decryption.
    public var applicationBytesReceived: Int { record.withState { $0.applicationBytes } }

    /// True if each PUBLISH packet and each acknowledgement is recorded. Set this property to `false` for benchmarks;
    /// the packets are still counted.
    public var recordPublishes: Bool {
        get { record.withState { $0.recordsPublishes } }
        set { record.withState { $0.recordsPublishes = newValue } }
    }

    /// Waits until a condition on the record holds.
    ///
    /// The condition is evaluated every 2 ms: choose a condition that stays true.
    ///
    /// - Returns: `false` after the timeout, or if the task is cancelled.
    public func waitUntil(
        timeout: Duration = .seconds(30),
        _ condition: @Sendable (ScriptedBroker) -> Bool
    ) async -> Bool {
        await eventually(timeout: timeout, pollEvery: .milliseconds(2)) { condition(self) }
    }
}
