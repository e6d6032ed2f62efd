// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// Carries out the life of one member: its client, its subscription, and their end.
final class GroupMemberRun: Sendable {
    private let plan: GroupPlan
    private let index: Int
    private let eventLoop: MosquittoEventLoop
    private let logger: Logger
    private let consumer: MessageBuffer
    let client: MQTTClient

    private struct State {
        var hasJoined = false
        var hasEnded = false
        var hasLeft = false
        /// The error of a leave that failed.
        var leavingError: MQTTError?
        /// A caller that waits until the member has joined or ended.
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    init(_ plan: GroupPlan, _ index: Int, logger: Logger) throws(MQTTError) {
        self.plan = plan
        self.index = index
        self.logger = logger
        eventLoop = plan.options.eventLoops?.next() ?? MosquittoEventLoop(name: "mqtt-\(plan.number(index))")
        client = MQTTClient(plan.member(index), eventLoop: eventLoop, logger: logger)
        consumer = try client.makeConsumer(plan.subscriptions, buffer: plan.options.buffer)
    }

    /// Number of messages that the member has received.
    var received: Int { consumer.received }

    /// Runs the member until its body has returned and its client has stopped.
    ///
    /// - Parameter joined: called when the broker has granted the subscription, before the body.
    func run(
        joined: @Sendable () -> Void, _ body: @Sendable (MQTTGroupMember) async throws -> Void
    ) async throws {
        defer { note { $0.hasEnded = true } }
        try await client.start()
        do {
            try await client.consume(consumer) { messages in
                note { $0.hasJoined = true }
                joined()
                try await body(MQTTGroupMember(number: plan.number(index), client: client, messages: messages))
            }
            // The sequence of a client that stops by itself ends without an error.
            if let error = client.terminalError { throw error }
        } catch {
            try? await client.shutdown()
            throw Self.explained(client.terminalError ?? error)
        }
        let (hasLeft, leavingError) = state.withLock { ($0.hasLeft, $0.leavingError) }
        if hasLeft { return try await endSession() }
        try await client.shutdown()
        // Cancelled by the end of the group, which is no failure.
        if let leavingError, leavingError.code != .cancelled { throw leavingError }
    }

    /// Makes the member leave: it unsubscribes, and its sequence ends after all messages of its session. A member that
    /// has not joined yet does so first: its session may have messages of an earlier run.
    func leave() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.hasJoined || state.hasEnded { return true }
                state.waiting.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
        if state.withLock({ $0.hasEnded }) { return }
        do throws(MQTTError) {
            try await client.session.leave(consumer)
            // Before the end of the sequence, after which the member ends.
            state.withLock { $0.hasLeft = true }
        } catch {
            logger.warning(
                "a member could not leave its group; its session stays, and may have messages",
                metadata: ["mqtt.client_id": "\(client.configuration.effectiveClientID)", "error": "\(error)"])
            state.withLock { $0.leavingError = error }
        }
        await retire()
    }

    /// Ends the member's sequence after the messages received so far. The session stays.
    func retire() async { await client.session.retire(consumer) }

    /// Ends the session, so that the broker keeps nothing that nobody resumes.
    private func endSession() async throws(MQTTError) {
        let configuration = client.configuration
        if configuration.version == .v5_0, client.state.isConnected {
            return try await client.shutdown(MQTTDisconnect(sessionExpiry: .zero))
        }
        // Without a connection there is no DISCONNECT that could end it.
        try await client.shutdown()
        let ending = MQTTClient(plan.ending(configuration), eventLoop: eventLoop, logger: logger)
        try await ending.start()
        try await ending.shutdown()
    }

    private func note(_ change: (inout State) -> Void) {
        let waiting = state.withLock { state in
            change(&state)
            defer { state.waiting = [] }
            return state.waiting
        }
        for caller in waiting { caller.resume() }
    }

    /// Says what is missing if the broker has no shared subscriptions.
    private static func explained(_ error: any Error) -> any Error {
        guard var error = error as? MQTTError, error.reasonCode == .sharedSubscriptionsNotSupported else {
            return error
        }
        error.message =
            "a consumer group needs shared subscriptions, which this broker does not have; "
            + "subscribe with one client, or use a broker with them"
        return error
    }
}
