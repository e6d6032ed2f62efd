import ServiceLifecycle
import Synchronization

/// Calls that hear the graceful shutdown of the service that made them (ServiceLifecycle): without a connection nothing can be waited
/// for any more. A call whose answer is on its way gets it, as long as there is a connection.
extension Session {
    /// Runs a call. `end` ends its wait: when its task is shut down gracefully and there is no connection, or none any more.
    nonisolated func hearingShutdown<Success: Sendable>(
        _ call: () async -> Result<Success, MQTTError>, end: @escaping @Sendable (isolated Session) -> Void
    ) async -> Result<Success, MQTTError> {
        let outcome = await withGracefulShutdownHandler {
            await call()
        } onGracefulShutdown: {
            Task { await self.leave(end) }
        }
        if case .failure(let error) = outcome, error.code == .stopped { await shared.awaitTurn() }
        return outcome
    }

    private func leave(_ end: @escaping @Sendable (isolated Session) -> Void) {
        if hasConnection { leaving.append(end) } else { end(self) }
    }

    /// The connection is gone.
    func endLeaving() {
        let all = leaving
        leaving = []
        for end in all { end(self) }
    }

    /// Whether there is a connection, or a rotation's next one about to be.
    private var hasConnection: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        case .fetching, .dialing: machine.gapSince != nil
        case .idle, .waiting, .stopped: false
        }
    }

    /// The error of a call that ends so.
    static func shuttingDown(_ call: String) -> MQTTError {
        MQTTError(.cancelled, "\(call) was ended by a graceful shutdown: there is no connection to the broker")
    }
}

extension SharedState {
    /// How long a task waits for its turn that may not be part of the group.
    private static let longestTurn = Duration.seconds(1)

    /// Waits until the calling service is shut down itself, if a service group has shut the client down before it.
    ///
    /// A group shuts its services down one after the other, the last one first. A service that ends before its turn, since the client
    /// it uses has ended, has failed to the group.
    func awaitTurn() async {
        guard isEndedByGroup.load(ordering: .acquiring) else { return }
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
    }
}
