// SPDX-License-Identifier: Apache-2.0

/// A limit of the rate at which a client publishes, for a broker that discards messages beyond a rate, or disconnects.
///
/// In no second does the client send more than the limit. For that a tenth of the limit, at least one message, may be
/// sent at once, and nine tenths follow in each second. Repetitions after a reconnect count too. Waiting messages stay
/// in the queue, in their order, and count against ``MQTTPublishingLimits/queue``.
public struct MQTTPublishRate: Sendable, Hashable {
    /// Messages a second, at least 0.01; `nil` for no limit.
    public var messagesPerSecond: Double?
    /// Bytes of topics and payloads a second, at least 100; `nil` for no limit. A message of more than a second's bytes
    /// is sent, and those behind it wait until the limit is kept on average.
    public var bytesPerSecond: Int?

    public init(messagesPerSecond: Double? = nil, bytesPerSecond: Int? = nil) {
        self.messagesPerSecond = messagesPerSecond
        self.bytesPerSecond = bytesPerSecond
    }

    func validate() throws(MQTTError) {
        if messagesPerSecond == nil, bytesPerSecond == nil {
            throw .invalid(.invalidConfiguration, "publishing.rate has no limit; set one, or leave the rate out")
        }
        if let messagesPerSecond, !(messagesPerSecond >= 0.01 && messagesPerSecond <= 1e9) {
            throw .invalid(
                .invalidConfiguration,
                "publishing.rate.messagesPerSecond is \(messagesPerSecond); it must be from 0.01 to 1000000000")
        }
        if let bytesPerSecond, !(100...1 << 40).contains(bytesPerSecond) {
            throw .invalid(
                .invalidConfiguration,
                "publishing.rate.bytesPerSecond is \(bytesPerSecond); it must be from 100 to 1099511627776")
        }
    }
}
