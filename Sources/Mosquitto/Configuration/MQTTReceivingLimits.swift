// SPDX-License-Identifier: Apache-2.0

/// The limits of subscriptions, and of the packets that the broker may send.
public struct MQTTReceivingLimits: Sendable, Hashable {
    /// Maximum number of unacknowledged QoS 1 and 2 messages from the broker, 1 to 65,535; MQTT 5.0 only. Default
    /// 65,535.
    public var receiveMaximum: UInt16
    /// Size in bytes of the largest packet accepted from the broker, 128 to 268,435,460, the protocol's own limit; a
    /// larger one ends the connection before memory is allocated for it. With MQTT 5.0 the broker is told, and sends no
    /// larger message. Default 16 MiB.
    ///
    /// A packet without a message, such as CONNACK, has at most 64 KiB, besides its reason codes and authentication
    /// data. A message with more than 10,000 properties, or with more than 4 MiB of them, is acknowledged and
    /// discarded, with a warning.
    public var maximumPacketSize: Int
    /// Highest topic alias that the broker may use, 0 to 65,535; 0 for none. MQTT 5.0 only. Default 64.
    ///
    /// With an alias the broker sends the topic of many messages only once (MQTT 5.0, section 3.3.2.3.4); messages have
    /// their topic all the same. The client keeps at most this number of topics for a connection, each of at most 64
    /// KiB. An alias of 0, one above the maximum and one without a topic end the connection with the reason code 0x94
    /// and ``MQTTError/Code/protocolViolation``.
    public var topicAliasMaximum: UInt16
    /// Maximum number of filters in a SUBSCRIBE or UNSUBSCRIBE, at least 1. More filters are split into several
    /// packets, also when subscriptions are restored after a reconnect. Default 8, the limit of some brokers, such as
    /// AWS IoT Core. The client halves the number, down to 1, each time a broker closes the connection within a second
    /// after a packet with several filters.
    public var maximumFiltersPerSubscribe: Int
    /// True to give overlapping subscriptions Subscription Identifiers (MQTT 5.0, section 3.8.2.1.2). With them each
    /// consumer receives a message once, even if the broker sends a copy for each matching subscription, as mosquitto
    /// does.
    ///
    /// Default `nil`: only in clean sessions, since in a persistent session the identifiers of an earlier process may
    /// still be assigned to other filters. Set `true` if no other process uses the session.
    public var usesSubscriptionIdentifiers: Bool?

    public init(
        receiveMaximum: UInt16 = 65_535, maximumPacketSize: Int = 16 << 20, maximumFiltersPerSubscribe: Int = 8,
        usesSubscriptionIdentifiers: Bool? = nil, topicAliasMaximum: UInt16 = 64
    ) {
        self.receiveMaximum = receiveMaximum
        self.maximumPacketSize = maximumPacketSize
        self.topicAliasMaximum = topicAliasMaximum
        self.maximumFiltersPerSubscribe = maximumFiltersPerSubscribe
        self.usesSubscriptionIdentifiers = usesSubscriptionIdentifiers
    }

    func validate() throws(MQTTError) {
        if receiveMaximum == 0 {
            throw .invalid(.invalidConfiguration, "receiving.receiveMaximum is 0; it must be at least 1")
        }
        if !(128...268_435_460).contains(maximumPacketSize) {
            throw .invalid(
                .invalidConfiguration,
                "receiving.maximumPacketSize is \(maximumPacketSize); it must be from 128 to 268435460")
        }
        if maximumFiltersPerSubscribe < 1 {
            throw .invalid(
                .invalidConfiguration,
                "receiving.maximumFiltersPerSubscribe is \(maximumFiltersPerSubscribe); it must be at least 1")
        }
    }
}
