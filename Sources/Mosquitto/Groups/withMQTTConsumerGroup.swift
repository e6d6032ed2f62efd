// SPDX-License-Identifier: Apache-2.0

public import Logging

/// Runs a consumer group until its task is shut down gracefully or cancelled, or a member fails.
///
/// ```swift
/// try await withMQTTConsumerGroup(configuration, group: "ingest", filters: ["sensors/#"], members: 4) { member in
///     for await message in member.messages { try await store(message) }
/// }
/// ```
///
/// See ``MQTTConsumerGroup``, whose ``MQTTConsumerGroup/run()`` describes the errors.
public func withMQTTConsumerGroup(
    _ configuration: MQTTClientConfiguration, group: String, filters: [MQTTSubscription], members: Int,
    options: MQTTConsumerGroupOptions = .init(), logger: Logger = Logger(label: "mosquitto"),
    member: @escaping @Sendable (MQTTGroupMember) async throws -> Void
) async throws {
    try await MQTTConsumerGroup(
        configuration, group: group, filters: filters, members: members, options: options, logger: logger,
        member: member
    ).run()
}

/// Runs a consumer group for as long as `body` runs, then shuts it down gracefully.
///
/// `body` begins at once; ``MQTTConsumerGroup/waitUntilConsuming()`` waits for the members, and
/// ``MQTTConsumerGroup/scale(to:)`` changes their number. If a member fails, `body` is cancelled, and the
/// member's error is thrown.
@discardableResult
public func withMQTTConsumerGroup<R: Sendable>(
    _ configuration: MQTTClientConfiguration, group: String, filters: [MQTTSubscription], members: Int,
    options: MQTTConsumerGroupOptions = .init(), logger: Logger = Logger(label: "mosquitto"),
    member: @escaping @Sendable (MQTTGroupMember) async throws -> Void,
    during body: @escaping @Sendable (MQTTConsumerGroup) async throws -> R
) async throws -> R {
    let consumers = MQTTConsumerGroup(
        configuration, group: group, filters: filters, members: members, options: options, logger: logger,
        member: member)
    return try await withThrowingTaskGroup(of: R?.self) { tasks in
        tasks.addTask {
            try await consumers.run()
            return nil
        }
        tasks.addTask { try await body(consumers) }
        do {
            while let result = try await tasks.next() {
                if let value = result {
                    await consumers.shutdown()
                    // An error of a member during the shutdown.
                    try await tasks.waitForAll()
                    return value
                }
                // The group was shut down within the body, or all bodies of its members have returned.
            }
        } catch {
            // An error of the body is thrown after a graceful shutdown; an error of the group cancels the body.
            if consumers.hasEnded { tasks.cancelAll() } else { await consumers.shutdown() }
            throw error
        }
        throw MQTTError(.stopped, "the group has ended")
    }
}
