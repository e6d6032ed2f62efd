import ServiceLifecycle
import Synchronization

/// Calls that hear the graceful shutdown of the service that made them (ServiceLifecycle): without a connection nothing
/// can be waited for any more. A call whose answer is on its way gets it, as long as there is a connection.
extension Session {
    /// A call of a task that is being shut down.
    enum Leaving: Sendable {
        case publish(OutgoingPublish)
        /// Any other; the closure ends its wait.
        case call(@Sendable (isolated Session) -> Void)
    }

    /// Runs a call. `end` ends its wait: when its task is shut down gracefully and there is no connection, or none any
    /// more.
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

    /// The connection is gone.
    func endLeaving() {
        for call in waiters.takeLeaving() { end(call) }
    }

    /// True if there is a connection, or a rotation's next one about to be.
    var hasConnection: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        case .fetching, .dialing: machine.gap != nil && machine.attempt == 1
        case .idle, .waiting, .stopped: false
        }
    }

    /// The error of a call that ends so.
    static func shuttingDown(_ call: String) -> MQTTError {
        MQTTError(.cancelled, "\(call) was ended by a graceful shutdown: there is no connection to the broker")
    }
}

extension SharedState {
    /// The time that a task waits for its turn which may not be part of the group.
    static let longestTurn = Duration.seconds(10)

    /// Waits until the calling service is shut down itself, if a service group has shut the client down before it.
    ///
    /// A group shuts its services down one after the other, the last one first. A service that ends before its turn,
    /// since the client it uses has ended, has failed to the group.
    ///
    /// Returns whether a group has shut the client down.
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
