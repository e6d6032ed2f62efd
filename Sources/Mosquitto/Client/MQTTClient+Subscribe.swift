extension MQTTClient {
    /// Subscribes for as long as `body` runs, and gives it the messages.
    ///
    /// ```swift
    /// try await client.subscribe(to: "sensors/+/temperature") { messages in
    ///     for await message in messages { print(message.topic, message.payloadString) }
    /// }
    /// ```
    ///
    /// The sequence survives reconnects: the client subscribes again when the broker has no session. It ends when the
    /// client ends or the task is cancelled. Several subscriptions share the connection; each gets what matches its filters.
    ///
    /// - Throws: ``MQTTError``: a bad filter at once; ``MQTTError/Code/operationRefused`` if the broker refuses a filter;
    ///   ``MQTTError/Code/stopped``; ``MQTTError/Code/cancelled``; and whatever `body` throws.
    @discardableResult
    public func subscribe<R>(
        to subscriptions: MQTTSubscription..., buffer: MQTTBufferPolicy = .default,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        try await subscribe(to: subscriptions, buffer: buffer, isolation: isolation, body)
    }

    /// Subscribes for as long as `body` runs; see ``subscribe(to:buffer:isolation:_:)-(MQTTSubscription...,_,_,_)``.
    @discardableResult
    public func subscribe<R>(
        to subscriptions: [MQTTSubscription], buffer: MQTTBufferPolicy = .default,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        if subscriptions.isEmpty {
            throw MQTTError.invalid(.invalidTopicFilter, "no topic filter was given; give at least one")
        }
        for subscription in subscriptions {
            try subscription.validate()
            if configuration.version == .v3_1_1, subscription.needsVersion5 {
                throw MQTTError.invalid(.unsupported, "options of \(quoted(subscription.filter.filter)) need MQTT 5.0")
            }
        }
        try buffer.validate()
        let consumer = MessageBuffer(subscriptions, policy: buffer, wake: session.wakeReader)
        do {
            let granted = try await session.subscribe(consumer)
            let result = try await body(
                MQTTMessages(buffer: consumer, grantedReasonCodes: granted, end: session.endSubscription))
            await session.unsubscribe(consumer, hasHandledAll: true)
            return result
        } catch {
            await session.unsubscribe(consumer, hasHandledAll: false)
            throw error
        }
    }
}
