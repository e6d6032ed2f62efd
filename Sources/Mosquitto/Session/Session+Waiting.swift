// SPDX-License-Identifier: Apache-2.0

import Logging

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Calls that wait for a connection.
extension Session {
    nonisolated func waitUntilConnected(timeout: Duration?) async throws(MQTTError) -> MQTTConnectionInfo {
        let id = await makeWaiterID()
        let outcome = await hearingShutdown {
            await withTaskCancellationHandler {
                await self.wait(id, timeout)
            } onCancel: {
                Task { await self.endWait(id, Self.waitCancelled) }
            }
        } end: {
            $0.endWait(id, Self.shuttingDown("the wait for a connection"))
        }
        return try outcome.get()
    }

    func makeWaiterID() -> WaiterID { waiters.makeID() }

    private func wait(_ id: WaiterID, _ timeout: Duration?) async -> Result<MQTTConnectionInfo, MQTTError> {
        switch shared.state {
        case .connected(let info): return .success(info)
        case .stopped(let error): return .failure(error ?? MQTTError(.stopped, "the client has stopped"))
        default: break
        }
        let timer = timeout.map { limit in
            loop.setTimer(after: limit) { [weak self] in
                self?.assumeIsolated { $0.waitTimedOut(id, limit) }
            }
        }
        defer { if let timer { loop.cancelTimer(timer) } }
        watchIdle()
        if Task.isShuttingDownGracefully, !hasConnection {
            return .failure(Self.shuttingDown("the wait for a connection"))
        }
        // The job of a cancellation runs on this actor, after this one has begun to wait; if it ran before, the task is
        // marked as cancelled.
        if Task.isCancelled { return .failure(Self.waitCancelled) }
        return await withCheckedContinuation { waiters.addForConnection(id, $0) }
    }

    private static var waitCancelled: MQTTError { MQTTError(.cancelled, "the wait for a connection was cancelled") }

    private func endWait(_ id: WaiterID, _ error: MQTTError) {
        waiters.endConnectionWait(id, error)
    }

    private func waitTimedOut(_ id: WaiterID, _ limit: Duration) {
        var error = MQTTError.noConnection(within: limit, reporter.lastError)
        if case .idle = machine.state { error.message += ": " + Self.idle }
        waiters.endConnectionWait(id, error)
    }

    // MARK: A client that is not running

    private static let idle =
        "nothing runs the client; call start(), run() in a task of its own, or use withMQTTClient"

    /// Logs a warning if a call has waited for some time for a client that is not running.
    func watchIdle() {
        guard case .idle = machine.state, !waiters.isIdleWatched else { return }
        waiters.isIdleWatched = true
        _ = loop.setTimer(after: .seconds(5)) { [weak self] in
            self?.assumeIsolated { session in
                guard case .idle = session.machine.state else { return }
                session.logger.warning("a call waits for a connection, but \(Self.idle)")
            }
        }
    }
}

extension MQTTError {
    /// Returns the error for a wait that timed out, with the last failure.
    static func noConnection(within limit: Duration, _ lastFailure: MQTTError?) -> MQTTError {
        guard let lastFailure else { return MQTTError(.timeout, "there was no connection within \(limit)") }
        var error = MQTTError(
            .timeout, "there was no connection within \(limit); the last attempt failed: \(lastFailure)")
        error.underlying = lastFailure
        return error
    }
}
