// SPDX-License-Identifier: Apache-2.0

#if ServiceLifecycle
import ServiceLifecycle
#endif

extension MQTTClient {
    /// Subscribes for as long as `body` runs, and passes the messages to `body`.
    ///
    /// ```swift
    /// try await client.subscribe(to: "sensors/+/temperature") { messages in
    ///     for await message in messages { print(message.topic, message.payloadString) }
    /// }
    /// ```
    ///
    /// The sequence survives reconnects: the client subscribes again when the broker has no session. It ends when the
    /// client stops or the task is cancelled. When the task is shut down gracefully (`ServiceGroup`), it ends after the
    /// messages received so far, so that a `for await` handles them all. Several subscriptions share the connection;
    /// each one receives the messages that match its filters.
    ///
    /// In a ``MQTTSession/clean`` session the subscription ends with `body`. In a ``MQTTSession/persistent(expiry:)``
    /// session it continues however `body` ends: the broker keeps messages for the next `subscribe` call, in this
    /// process or a later one. ``MQTTMessages/unsubscribe()`` and ``unsubscribe(from:)`` end it.
    ///
    /// If the client or the task is shut down gracefully before the broker has answered, `body` runs with a sequence
    /// that has already ended.
    ///
    /// - Throws: ``MQTTError``: for an invalid filter at once; ``MQTTError/Code/operationRefused`` if the broker
    ///   refuses a filter, or after a reconnect all of them (``MQTTMessages/endedBy``);
    ///   ``MQTTError/Code/endsConnection``; ``MQTTError/Code/stopped``; ``MQTTError/Code/cancelled``; any error of
    ///   `body`.
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

    /// Subscribes and runs `body` even if the broker grants only some of the subscriptions;
    /// ``MQTTMessages/grantedReasonCodes`` lists the results. Throws ``MQTTError/Code/operationRefused`` if it grants
    /// none. Refused subscriptions are not requested again.
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
        for subscription in subscriptions where configuration.version != .v5_0 && subscription.needsVersion5 {
            throw .invalid(.unsupported, "options of \(quoted(subscription.filter.filter)) need MQTT 5.0")
        }
    }

    /// Passes messages to `body` that arrive without a SUBSCRIBE from this call.
    ///
    /// Some brokers subscribe a client by themselves, and a resumed session has the subscriptions of an earlier run.
    /// The client sends no SUBSCRIBE, and no UNSUBSCRIBE at the end. A message that matches a subscription of this
    /// client too is delivered to both. To miss no message that a broker sends right after the CONNACK, call this
    /// method before ``start()``.
    ///
    /// ```swift
    /// try await client.receive("devices/kitchen/#") { messages in
    ///     for await message in messages { print(message.topic) }
    /// }
    /// ```
    ///
    /// - Throws: ``MQTTError/Code/invalidTopicFilter``, ``MQTTError/Code/stopped``, and any error of `body`.
    @discardableResult
    public func receive<R>(
        _ filters: MQTTTopicFilter..., buffer: MQTTBufferPolicy = .default,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        let subscriptions = filters.map { MQTTSubscription($0) }
        return try await consume(subscriptions, isLocal: true, buffer: buffer, isolation: isolation, body)
    }

    /// Ends subscriptions without a consumer: subscriptions of an earlier run in a resumed session, and in a persistent
    /// session subscriptions of this client whose scope has ended (`mosquitto_unsubscribe_multiple`).
    ///
    /// Messages waiting in the client for a consumer of such a filter are acknowledged and discarded, and so are
    /// messages that the broker still sends for it.
    ///
    /// Returns the broker's reason code for each filter, in the order of `filters` (MQTT 5.0, section 3.11.3; always
    /// success with MQTT 3.1.1). Without a connection the call waits for the next one, if there is a session to
    /// unsubscribe from. To end a subscription whose scope is still running, call ``MQTTMessages/unsubscribe()``.
    ///
    /// - Throws: ``MQTTError/Code/invalidTopicFilter``, also if a consumer of this client uses the filter;
    ///   ``MQTTError/Code/stopped``; ``MQTTError/Code/cancelled``, in which case the UNSUBSCRIBE may have been sent.
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
        let consumer = try makeConsumer(subscriptions, isLocal: isLocal, buffer: buffer)
        return try await consume(consumer, acceptsRefusals: acceptsRefusals, isolation: isolation, body)
    }

    /// Returns a consumer that receives nothing yet.
    func makeConsumer(
        _ subscriptions: [MQTTSubscription], isLocal: Bool = false, buffer: MQTTBufferPolicy
    ) throws(MQTTError) -> MessageBuffer {
        if subscriptions.isEmpty {
            throw .invalid(.invalidTopicFilter, "no topic filter was given; give at least one")
        }
        for subscription in subscriptions { try subscription.validate() }
        if !isLocal, let platform = configuration.platform {
            for subscription in subscriptions { try platform.limits.check(subscription) }
        }
        try buffer.validate()
        return MessageBuffer(subscriptions, isLocal: isLocal, policy: buffer, wake: session.wakeReader)
    }

    /// Passes the messages of a new consumer to `body`.
    func consume<R>(
        _ consumer: MessageBuffer, acceptsRefusals: Bool = false, isolation: isolated (any Actor)? = #isolation,
        _ body: (MQTTMessages) async throws -> R
    ) async throws -> R {
        try await withGracefulShutdownHandler(isolation: isolation) {
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
