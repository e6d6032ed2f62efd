// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Calls that end with the graceful shutdown of the service that made them (ServiceLifecycle): without a connection
/// they have nothing to wait for. A call whose answer is in progress receives it, as long as there is a connection.
extension Session {
    /// A call of a task that is being shut down.
    enum Leaving: Sendable {
        case publish(OutgoingPublish)
        /// Any other call; the closure ends its wait.
        case call(@Sendable (isolated Session) -> Void)
    }

    /// Runs a call. `end` ends its wait if its task is shut down gracefully while there is no connection, or when the
    /// connection is lost later.
    nonisolated func hearingShutdown<Success: Sendable>(
        _ call: () async -> Result<Success, MQTTError>, end: @escaping @Sendable (isolated Session) -> Void
    ) async -> Result<Success, MQTTError> {
        let outcome = await withGracefulShutdownHandler {
            await call()
        } onGracefulShutdown: {
            Task { await self.leave(.call(end)) }
        }
        if case .failure(let error) = outcome, error.code == .stopped { await shared.awaitTurn() }
        return outcome
    }

    func leave(_ call: Leaving) {
        guard hasConnection else { return end(call) }
        let queue = shared.queue
        waiters.addLeaving(call, isOver: queue.isOver)
    }

    private func end(_ call: Leaving) {
        switch call {
        case .publish(let publish): withdraw(publish, Self.shuttingDown("the publish"))
        case .call(let end): end(self)
        }
    }

    /// Ends the calls of leaving tasks, after the connection was lost.
    func endLeaving() {
        for call in waiters.takeLeaving() { end(call) }
    }

    /// True if there is a connection, or the next one of a rotation is about to be made.
    var hasConnection: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        case .fetching, .dialing: machine.gap != nil && machine.attempt == 1
        case .idle, .waiting, .stopped: false
        }
    }

    /// Returns the error of a call that is ended by a graceful shutdown.
    static func shuttingDown(_ call: String) -> MQTTError {
        MQTTError(.cancelled, "\(call) was ended by a graceful shutdown: there is no connection to the broker")
    }
}

extension SharedState {
    /// The time limit for the wait of a task that may not be part of the group.
    static let longestTurn = Duration.seconds(10)

    /// Waits until the calling service is shut down itself, if a service group has shut the client down before it.
    ///
    /// A group shuts its services down one after the other, the last one first. To the group, a service that ends
    /// before its turn, because its client has stopped, has failed.
    ///
    /// Returns true if a group has shut the client down.
    @discardableResult
    func awaitTurn() async -> Bool {
        guard isEndedByGroup.load(ordering: .acquiring) else { return false }
        let (turn, continuation) = AsyncStream.makeStream(of: Never.self)
        await withGracefulShutdownHandler {
            let limit = Task {
                try? await Task.sleep(for: Self.longestTurn)
                continuation.finish()
            }
            for await _ in turn {}
            limit.cancel()
        } onGracefulShutdown: {
            continuation.finish()
        }
        return true
    }
}
