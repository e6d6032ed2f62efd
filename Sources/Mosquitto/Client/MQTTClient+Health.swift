// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MQTTClient {
    /// A snapshot of the client's state, failures, token and queue, for probes and status pages. May be read on any
    /// thread and at any time; a reading takes two locks and does not involve the event loop.
    public var health: MQTTClientHealth { shared.health(now: .now, date: .now) }

    /// True if the client meets the policy's requirements now: for a readiness probe.
    /// ``MQTTClientHealth/obstacle(to:)`` gives the reason if it does not.
    public func isReady(_ policy: MQTTReadinessPolicy = .connected) -> Bool { health.isReady(policy) }

    /// Returns true if the client's event loop responds within the time: for a liveness probe.
    ///
    /// The broker has no part in this: a client without a connection is as alive as any other. Returns false if a call
    /// blocks the loop, such as a slow ``MQTTRetryPolicy/decide`` or a task on ``MosquittoEventLoop/taskExecutor``; if
    /// the process has no processor; and if the calling task is cancelled.
    ///
    /// - Parameter limit: default 5 s; at most ten years.
    public func isResponsive(within limit: Duration = .seconds(5)) async -> Bool {
        await within(limit) { [session] in await session.respond() } != nil
    }
}
