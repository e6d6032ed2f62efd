// SPDX-License-Identifier: Apache-2.0

/// The options of an ``MQTTConsumerGroup``.
public struct MQTTConsumerGroupOptions: Sendable {
    /// The name of the members: the member with the number 0 has the client identifier "NAME-0". Default `nil`:
    /// ``MQTTClientConfiguration/clientID``, or the name of the group if there is none.
    public var memberName: String?
    /// The number of the first member, from 0 to 1,000,000,000. Default 0.
    ///
    /// Processes that share a group need different numbers, such as the ordinal of a pod times the members of each pod:
    /// two members with the same number take the session from each other.
    public var firstMember: Int
    /// The buffer of each member. Default ``MQTTBufferPolicy/default``.
    public var buffer: MQTTBufferPolicy
    /// The event loops that serve the members in turn; `nil`, the default, for a loop and a thread for each member.
    public var eventLoops: MosquittoEventLoopGroup?
    /// True for a broker that has shared subscriptions with MQTT 3.1.1 too, such as mosquitto, EMQX, HiveMQ and
    /// rumqttd. Default `false`: MQTT 3.1.1 has none, a broker cannot say that it has them, and one without them grants
    /// a filter that never matches.
    public var assumesSharedSubscriptions: Bool

    public init(
        memberName: String? = nil, firstMember: Int = 0, buffer: MQTTBufferPolicy = .default,
        eventLoops: MosquittoEventLoopGroup? = nil, assumesSharedSubscriptions: Bool = false
    ) {
        self.memberName = memberName
        self.firstMember = firstMember
        self.buffer = buffer
        self.eventLoops = eventLoops
        self.assumesSharedSubscriptions = assumesSharedSubscriptions
    }
}

/// A member of an ``MQTTConsumerGroup``, as its body receives it.
public struct MQTTGroupMember: Sendable {
    /// The number of the member, from ``MQTTConsumerGroupOptions/firstMember`` on.
    public let number: Int
    /// The client of the member, for instance to publish results.
    public let client: MQTTClient
    /// The member's share of the messages.
    ///
    /// A message is acknowledged when the next one is asked for; see ``MQTTAcknowledgement/afterHandling``. The
    /// sequence ends when the group is shut down, after the messages received so far, and when the member leaves, after
    /// all messages of its session.
    public let messages: MQTTMessages

    /// The client identifier, "NAME-NUMBER".
    public var clientID: String { client.configuration.effectiveClientID }
}

/// The state of a member of an ``MQTTConsumerGroup``.
public struct MQTTGroupMemberStatus: Sendable {
    /// The part that a member takes in its group.
    public enum Phase: String, Sendable, Hashable {
        /// The member waits for the broker to grant its subscription.
        case joining
        /// The member receives its share.
        case consuming
        /// The member has unsubscribed or is about to, and handles what the broker still has for it.
        case leaving
        /// The member ends with the group.
        case stopping
    }

    /// The number of the member.
    public let number: Int
    /// The client identifier, "NAME-NUMBER".
    public let clientID: String
    /// The part that the member takes.
    public let phase: Phase
    /// The state of the member's connection.
    public let connection: MQTTConnectionState
    /// Number of messages that the member has received since it began, including repetitions.
    public let received: Int
}
