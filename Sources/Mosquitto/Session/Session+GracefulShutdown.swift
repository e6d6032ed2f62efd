import ServiceLifecycle
import Synchronization

/// Calls that hear the graceful shutdown of the service that made them (ServiceLifecycle): without a connection nothing can be waited
/// for any more. A call whose answer is on its way gets it, as long as there is a connection.
extension Session {
    /// A call of a task that is being shut down.
    struct Leaving: Sendable {
        /// Gone when the call has ended; `nil` from the beginning for a call that has none.
        weak var owner: OutgoingPublish?
        let hasOwner: Bool
        let end: @Sendable (isolated Session) -> Void

        var isOver: Bool { hasOwner && owner == nil }
    }

    /// Runs a call. `end` ends its wait: when its task is shut down gracefully and there is no connection, or none any more.
    ///
    /// - Parameter owner: an object that lives about as long as the call does; `end` must not hold it.
    nonisolated func hearingShutdown<Success: Sendable>(
        of owner: OutgoingPublish? = nil, _ call: () async -> Result<Success, MQTTError>,
        end: @escaping @Sendable (isolated Session) -> Void
    ) async -> Result<Success, MQTTError> {
        let outcome = await withGracefulShutdownHandler {
            await call()
        } onGracefulShutdown: { [weak owner, hasOwner = owner != nil] in
            let leaving = Leaving(owner: owner, hasOwner: hasOwner, end: end)
            Task { await self.leave(leaving) }
        }
        if case .failure(let error) = outcome, error.code == .stopped { await shared.awaitTurn() }
        return outcome
    }

    private func leave(_ call: Leaving) {
        guard hasConnection else { return call.end(self) }
        leaving.append(call)
        // A service may publish much after its shutdown has begun.
        guard leaving.count >= leavingLimit else { return }
        leaving.removeAll(where: \.isOver)
        leavingLimit = max(64, 2 * leaving.count)
    }

    /// The connection is gone.
    func endLeaving() {
        let all = leaving
        leaving = []
        for call in all { call.end(self) }
    }

    /// Whether there is a connection, or a rotation's next one about to be.
    var hasConnection: Bool {
        switch machine.state {
        case .connected, .draining, .disconnecting: true
        case .fetching, .dialing: machine.gapSince != nil && machine.attempt == 1
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
    static let longestTurn = Duration.seconds(10)

    /// Waits until the calling service is shut down itself, if a service group has shut the client down before it.
    ///
    /// A group shuts its services down one after the other, the last one first. A service that ends before its turn, since the client
    /// it uses has ended, has failed to the group.
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
