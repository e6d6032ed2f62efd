// SPDX-License-Identifier: Apache-2.0

extension MQTTPlatformLimits {
    // MARK: The configuration

    /// Throws for a configuration that the platform does not take.
    func validate(_ configuration: MQTTClientConfiguration) throws(MQTTError) {
        if !versions.contains(configuration.version) {
            let names = versions.map { $0 == .v5_0 ? ".v5_0" : ".v3_1_1" }.joined(separator: " or ")
            throw .invalid(.unsupported, "\(name) does not speak this version of MQTT; set version to \(names)")
        }
        if configuration.tls == nil {
            throw .invalid(.invalidConfiguration, "\(name) takes connections over TLS only; set tls")
        }
        if let clientIDBytes, let clientID = configuration.clientID, clientID.utf8.count > clientIDBytes {
            throw .invalid(
                .invalidConfiguration,
                "clientID has \(clientID.utf8.count) bytes; \(name) takes at most \(clientIDBytes)")
        }
        if let longestKeepAlive {
            if configuration.keepAlive == .zero || configuration.keepAlive > longestKeepAlive {
                throw .invalid(
                    .invalidConfiguration,
                    "keepAlive is \(configuration.keepAlive); \(name) takes up to \(longestKeepAlive), and not zero")
            }
        }
        if let longestSessionExpiry, configuration.version == .v5_0,
            case .persistent(let expiry) = configuration.session, expiry > longestSessionExpiry
        {
            throw .invalid(
                .invalidConfiguration, "session expiry is \(expiry); \(name) keeps at most \(longestSessionExpiry)")
        }
        if let filtersPerSubscribe, configuration.receiving.maximumFiltersPerSubscribe > filtersPerSubscribe {
            throw .invalid(
                .invalidConfiguration,
                "receiving.maximumFiltersPerSubscribe is \(configuration.receiving.maximumFiltersPerSubscribe); "
                    + "\(name) takes at most \(filtersPerSubscribe) filters in a SUBSCRIBE")
        }
        if hasUserPropertiesOfMessagesOnly, !configuration.connect.userProperties.isEmpty {
            throw .invalid(
                .unsupported, "\(name) fails a CONNECT with user properties; leave connect.userProperties empty")
        }
        if let will = configuration.will {
            try check(will.topic.name, will.payload.count, qos: will.qos, retain: will.retain)
            if let longestWillDelay, will.delayInterval > longestWillDelay {
                throw .invalid(
                    .invalidConfiguration,
                    "the will's delay is \(will.delayInterval) s; \(name) takes at most \(longestWillDelay) s")
            }
        }
    }

    // MARK: Operations

    /// Throws for a message that the platform does not take.
    func check(_ topic: String, _ payload: Int, qos: MQTTQoS, retain: Bool) throws(MQTTError) {
        if qos > maximumQoS {
            throw .invalid(
                .unsupported, "\(name) takes messages of QoS \(maximumQoS.rawValue) at most; lower the QoS")
        }
        if let payloadBytes, payload > payloadBytes {
            throw .invalid(
                .payloadTooLarge, "the payload has \(payload) bytes; \(name) takes at most \(payloadBytes)")
        }
        if retain, let retainedPayloadBytes {
            if retainedPayloadBytes == 0 {
                throw .invalid(.unsupported, "\(name) has no retained messages; publish without retain")
            }
            if payload > retainedPayloadBytes {
                throw .invalid(
                    .payloadTooLarge,
                    "the payload has \(payload) bytes; \(name) retains at most \(retainedPayloadBytes)")
            }
        }
        try checkSize(topic, .invalidTopic, "topic")
        if !publishable.isEmpty, !publishable.contains(where: { $0.matches(topic) }) {
            throw .invalid(
                .invalidTopic,
                "\(name) has fixed topics, and \(quoted(topic)) is none for this client; it may publish to "
                    + publishable.map { quoted($0.filter) }.joined(separator: ", "))
        }
    }

    /// Throws for a subscription that the platform does not take.
    func check(_ subscription: MQTTSubscription) throws(MQTTError) {
        let filter = subscription.filter
        if subscription.qos > maximumQoS {
            throw .invalid(
                .unsupported, "\(name) takes subscriptions of QoS \(maximumQoS.rawValue) at most; lower the QoS")
        }
        if filter.isShared, !hasSharedSubscriptions {
            var error = MQTTError.operationRefused(
                .sharedSubscriptionsNotSupported, "\(name) has no shared subscriptions; subscribe with one client")
            error.refusedFilters = [filter]
            throw error
        }
        if hasUserPropertiesOfMessagesOnly, !subscription.userProperties.isEmpty {
            throw .invalid(.unsupported, "\(name) fails a SUBSCRIBE with user properties; leave them out")
        }
        try checkSize(String(filter.matched), .invalidTopicFilter, "topic filter")
        if !subscribable.isEmpty, !subscribable.contains(filter) {
            throw .invalid(
                .invalidTopicFilter,
                "\(name) has fixed topics, and \(quoted(filter.filter)) is no filter for this client; it may subscribe to "
                    + subscribable.map { quoted($0.filter) }.joined(separator: ", "))
        }
    }

    /// Throws if a client with these filters has more subscriptions than the platform takes.
    func check(filters: Int) throws(MQTTError) {
        guard let subscriptions, filters > subscriptions else { return }
        throw .invalid(
            .unsupported,
            "the client would have \(filters) subscriptions; \(name) takes at most \(subscriptions): use wildcards")
    }

    /// Throws for a DISCONNECT that the platform does not take.
    func check(_ disconnect: MQTTDisconnect) throws(MQTTError) {
        if hasUserPropertiesOfMessagesOnly, !disconnect.userProperties.isEmpty {
            throw .invalid(.unsupported, "\(name) fails a DISCONNECT with user properties; leave them out")
        }
    }

    private func checkSize(_ text: String, _ code: MQTTError.Code, _ kind: String) throws(MQTTError) {
        if let topicBytes, text.utf8.count > topicBytes {
            throw .invalid(
                code, "the \(kind) has \(text.utf8.count) bytes; \(name) takes at most \(topicBytes)")
        }
        guard let topicLevels else { return }
        let levels = text.utf8.count { $0 == UInt8(ascii: "/") } + 1
        let isLong = longTopicPrefix.map { text.utf8.starts(with: $0.utf8) } ?? false
        let limit = topicLevels + (isLong ? 3 : 0)
        if levels > limit {
            throw .invalid(code, "the \(kind) \(quoted(text)) has \(levels) levels; \(name) takes at most \(limit)")
        }
    }
}
