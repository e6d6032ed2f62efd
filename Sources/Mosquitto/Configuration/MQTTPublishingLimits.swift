// SPDX-License-Identifier: Apache-2.0

/// The limits of publishes in flight, and of the queue of those that wait.
public struct MQTTPublishingLimits: Sendable, Hashable {
    /// Maximum number of QoS 1 and 2 publishes in flight, 1 to 65,535, lowered to the broker's Receive Maximum.
    /// Default 100.
    ///
    /// With MQTT 3.1.1 at most 19 are of QoS 2: mosquitto accepts 20 by default, cannot announce this limit, and with
    /// 20 in flight acknowledges a QoS 1 message but drops it.
    public var maximumInFlight: Int
    /// The limits of the queue of outgoing messages, and its behaviour when it is full.
    public var queue: MQTTQueuePolicy
    /// The rate at which messages are sent; `nil`, the default, for no limit.
    public var rate: MQTTPublishRate?
    /// The topic alias of a client with one topic, as `mosq pub` has it, which sends it whatever the length of the
    /// topic is; `nil` to let the client choose.
    package var topicAlias: UInt16?

    public init(
        maximumInFlight: Int = 100, queue: MQTTQueuePolicy = MQTTQueuePolicy(), rate: MQTTPublishRate? = nil
    ) {
        self.maximumInFlight = maximumInFlight
        self.queue = queue
        self.rate = rate
    }

    func validate() throws(MQTTError) {
        if !(1...65_535).contains(maximumInFlight) {
            throw .invalid(
                .invalidConfiguration,
                "publishing.maximumInFlight is \(maximumInFlight); it must be from 1 to 65535")
        }
        try queue.validate()
        try rate?.validate()
    }
}
