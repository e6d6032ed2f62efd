import ServiceLifecycle

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
    /// client ends or the task is cancelled, and, after what has come, when the task is shut down gracefully (`ServiceGroup`): a
    /// `for await` then handles all of it. Several subscriptions share the connection; each gets what matches its filters.
    ///
    /// In a ``MQTTSession/clean`` session the subscription ends with `body`. In a ``MQTTSession/persistent(expiry:)`` session it does
    /// not, however `body` ends: the broker goes on collecting for the next `subscribe`, of this process or of the next one.
    /// ``MQTTMessages/unsubscribe()`` and ``unsubscribe(from:)`` end it.
    ///
    /// If the client or the task is shut down gracefully before the broker has answered, `body` runs with a sequence that is at its
    /// end.
    ///
    /// - Throws: ``MQTTError``: a bad filter at once; ``MQTTError/Code/operationRefused`` if the broker refuses a filter, or after a
    ///   reconnect all of them (``MQTTMessages/endedBy``); ``MQTTError/Code/endsConnection``; ``MQTTError/Code/stopped``;
    ///   ``MQTTError/Code/cancelled``; and whatever `body` throws.
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
        try checkVersion(subscriptions)
        return try await consume(subscriptions, isLocal: false, buffer: buffer, isolation: isolation, body)
    }

    /// The same, but `body` also runs if the broker grants only some of the subscriptions: ``MQTTMessages/grantedReasonCodes`` says
    /// which. Throws ``MQTTError/Code/operationRefused`` if it grants none. What it has refused is not asked for again.
    @discardableResult
    package func subscribe<R>(
        toGrantedOf subscriptions: [MQTTSubscription], buffer: MQTTBufferPolicy = .default,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        try checkVersion(subscriptions)
        return try await consume(
            subscriptions, isLocal: false, acceptsRefusals: true, buffer: buffer, isolation: isolation, body)
    }

    private func checkVersion(_ subscriptions: [MQTTSubscription]) throws(MQTTError) {
        for subscription in subscriptions where configuration.version == .v3_1_1 && subscription.needsVersion5 {
            throw .invalid(.unsupported, "options of \(quoted(subscription.filter.filter)) need MQTT 5.0")
        }
    }

    /// Gives `body` messages that come without the broker being asked for them.
    ///
    /// Some brokers subscribe a client by themselves, and a session that is resumed has the subscriptions of an earlier run. No
    /// SUBSCRIBE is sent, and no UNSUBSCRIBE at the end. A message that a subscription of this client matches too is given to both.
    /// What a broker sends together with CONNACK is not missed by who is here before ``start()``.
    ///
    /// ```swift
    /// try await client.receive("devices/kitchen/#") { messages in
    ///     for await message in messages { print(message.topic) }
    /// }
    /// ```
    ///
    /// - Throws: ``MQTTError/Code/invalidTopicFilter``, ``MQTTError/Code/stopped``, and whatever `body` throws.
    @discardableResult
    public func receive<R>(
        _ filters: MQTTTopicFilter..., buffer: MQTTBufferPolicy = .default,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        let subscriptions = filters.map { MQTTSubscription($0) }
        return try await consume(subscriptions, isLocal: true, buffer: buffer, isolation: isolation, body)
    }

    /// Ends subscriptions that have no consumer: those of an earlier run, in a session that was resumed, and those of this client
    /// whose scope is over, in a persistent session (`mosquitto_unsubscribe_multiple`).
    ///
    /// Messages that wait here for a consumer of such a filter are acknowledged and discarded, and so is what the broker still sends
    /// for it.
    ///
    /// Returns the broker's reason code for each filter, in their order (MQTT 5.0, section 3.11.3; with MQTT 3.1.1 always success).
    /// Without a connection it waits for the next one, if there is a session to unsubscribe from. A subscription whose scope
    /// goes on ends by ``MQTTMessages/unsubscribe()``.
    ///
    /// - Throws: ``MQTTError/Code/invalidTopicFilter``, also if a consumer of this client has the filter;
    ///   ``MQTTError/Code/stopped``; ``MQTTError/Code/cancelled``, when the UNSUBSCRIBE may have been sent.
    @discardableResult
    public func unsubscribe(from filters: [MQTTTopicFilter]) async throws(MQTTError) -> [MQTTReasonCode] {
        if filters.isEmpty { throw .invalid(.invalidTopicFilter, "no topic filter was given; give at least one") }
        for filter in filters { try filter.validate() }
        return try await session.unsubscribe(from: filters.map(\.filter))
    }

    private func consume<R>(
        _ subscriptions: [MQTTSubscription], isLocal: Bool, acceptsRefusals: Bool = false, buffer: MQTTBufferPolicy,
        isolation: isolated (any Actor)?, _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        if subscriptions.isEmpty {
            throw MQTTError.invalid(.invalidTopicFilter, "no topic filter was given; give at least one")
        }
        for subscription in subscriptions { try subscription.validate() }
        try buffer.validate()
        let consumer = MessageBuffer(subscriptions, isLocal: isLocal, policy: buffer, wake: session.wakeReader)
        return try await withGracefulShutdownHandler(isolation: isolation) {
            do {
                let granted = try await session.subscribe(consumer, acceptsRefusals: acceptsRefusals)
                let result = try await body(
                    MQTTMessages(buffer: consumer, grantedReasonCodes: granted, end: session.endSubscription))
                await session.endScope(of: consumer, hasHandledLast: true)
                if let error = consumer.ending { throw error }
                return result
            } catch {
                await session.endScope(of: consumer, hasHandledLast: false)
                throw error
            }
        } onGracefulShutdown: { [session] in
            Task { await session.retire(consumer) }
        }
    }
}
