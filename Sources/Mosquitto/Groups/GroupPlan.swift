// SPDX-License-Identifier: Apache-2.0

/// The configuration of each member of a group, and its validation. A value.
struct GroupPlan: Sendable {
    let configuration: MQTTClientConfiguration
    let group: String
    let filters: [MQTTSubscription]
    let options: MQTTConsumerGroupOptions

    /// The highest number of members in one process: each has a connection, and by default a thread.
    static let maximumMembers = 1_024

    /// The highest number of a first member, far from an overflow.
    private static let highestNumber = 1_000_000_000

    /// The shared filters.
    var subscriptions: [MQTTSubscription] {
        filters.map { subscription in
            var shared = subscription
            shared.filter = MQTTTopicFilter("$share/\(group)/\(subscription.filter.filter)")
            return shared
        }
    }

    /// Returns the number of a member, whose index begins at 0.
    func number(_ index: Int) -> Int { options.firstMember + index }

    /// Returns the configuration of a member.
    func member(_ index: Int) -> MQTTClientConfiguration {
        var member = configuration
        let number = number(index)
        member.clientID = "\(options.memberName ?? configuration.clientID ?? group)-\(number)"
        if member.session == .clean { member.session = .persistent }
        member.acknowledgement = .afterHandling
        // The group waits for its members by itself.
        member.connection.firstConnection = .background
        // No other client may use it.
        member.connect.responseTopic = configuration.connect.responseTopic.map { "\($0)-\(number)" }
        return member
    }

    /// Returns the configuration that ends the session of a member whose DISCONNECT cannot: a clean start, and a
    /// DISCONNECT (MQTT 3.1.1, section 3.1.2.4).
    func ending(_ member: MQTTClientConfiguration) -> MQTTClientConfiguration {
        var ending = member
        ending.session = .clean
        ending.connect.cleanSessionExpiry = .zero
        ending.acknowledgement = .onReceipt
        ending.will = nil
        ending.connection.firstConnection = .waitUntilConnected(within: configuration.timeouts.attempt)
        return ending
    }

    func validate(_ members: Int) throws(MQTTError) {
        try validateName()
        try validate(count: members)
        if !(0...Self.highestNumber).contains(options.firstMember) {
            throw .invalid(
                .invalidConfiguration,
                "firstMember is \(options.firstMember); it must be from 0 to \(Self.highestNumber)")
        }
        if filters.isEmpty {
            throw .invalid(.invalidTopicFilter, "no topic filter was given; give at least one")
        }
        for filter in filters {
            if filter.filter.isShared {
                throw .invalid(
                    .invalidTopicFilter,
                    "topic filter \(quoted(filter.filter.filter)) is shared already; give FILTER, and GROUP as the group"
                )
            }
            try filter.validate()
        }
        for subscription in subscriptions { try subscription.validate() }
        try options.buffer.validate()
        if configuration.version != .v5_0, !options.assumesSharedSubscriptions {
            throw .invalid(
                .unsupported,
                """
                a consumer group needs shared subscriptions, which MQTT 3.1.1 does not have; use MQTT 5.0, or set \
                assumesSharedSubscriptions if the broker's manual says that it has them
                """)
        }
        try member(0).validate()
    }

    func validate(count: Int) throws(MQTTError) {
        if !(0...Self.maximumMembers).contains(count) {
            throw .invalid(
                .invalidConfiguration,
                "the number of members is \(count); it must be from 0 to \(Self.maximumMembers)")
        }
    }

    /// MQTT 5.0, section 4.8.2: a share name has at least one character, and no slash and no wildcard.
    private func validateName() throws(MQTTError) {
        func fail(_ reason: String) -> MQTTError {
            .invalid(.invalidConfiguration, "the name of the group, \(quoted(group)), \(reason)")
        }
        if group.isEmpty { throw fail("is empty; give it at least one character") }
        if let reason = unsendable(group) { throw fail("has \(reason)") }
        for (byte, name) in [("/", "a slash"), ("+", "a plus sign"), ("#", "a number sign")]
        where group.utf8.contains(byte.utf8.first ?? 0) {
            throw fail("has \(name), which a share name must not have (MQTT 5.0, 4.8.2)")
        }
    }
}
