/// A caller that waits for a connection.
struct ConnectionWaiter {
    let id: Int
    let continuation: CheckedContinuation<Result<MQTTConnectionInfo, MQTTError>, Never>
    var timer: TimerID?
}

/// Callers that wait for a connection.
extension Session {
    nonisolated func waitUntilConnected(timeout: Duration?) async throws(MQTTError) -> MQTTConnectionInfo {
        let id = await makeWaiterID()
        let outcome = await withTaskCancellationHandler {
            await self.wait(id, timeout)
        } onCancel: {
            Task { await self.endWait(id, .failure(MQTTError(.cancelled, "the wait for a connection was cancelled"))) }
        }
        return try outcome.get()
    }

    private func makeWaiterID() -> Int {
        lastWaiter += 1
        return lastWaiter
    }

    private func wait(_ id: Int, _ timeout: Duration?) async -> Result<MQTTConnectionInfo, MQTTError> {
        switch shared.state {
        case .connected(let info): return .success(info)
        case .stopped(let error): return .failure(error ?? MQTTError(.stopped, "the client has stopped"))
        default: break
        }
        return await withCheckedContinuation { continuation in
            if Task.isCancelled {
                return continuation.resume(
                    returning: .failure(MQTTError(.cancelled, "the wait for a connection was cancelled")))
            }
            let timer = timeout.map { limit in
                loop.setTimer(after: limit) { [weak self] in
                    self?.assumeIsolated { $0.waitTimedOut(id, limit) }
                }
            }
            waiters.append(ConnectionWaiter(id: id, continuation: continuation, timer: timer))
        }
    }

    private func waitTimedOut(_ id: Int, _ limit: Duration) {
        var error = MQTTError(.timeout, "there was no connection within \(limit)")
        if case .waiting(let last) = shared.state {
            error = MQTTError(.timeout, "there was no connection within \(limit); the last attempt failed: \(last)")
            error.underlying = last
        }
        endWait(id, .failure(error))
    }

    private func endWait(_ id: Int, _ outcome: Result<MQTTConnectionInfo, MQTTError>) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        let waiter = waiters.remove(at: index)
        if let timer = waiter.timer { loop.cancelTimer(timer) }
        waiter.continuation.resume(returning: outcome)
    }

    func resumeWaiters(_ info: MQTTConnectionInfo) {
        for waiter in waiters { endWait(waiter.id, .success(info)) }
        for waiter in rotationWaiters { waiter.resume(returning: .success(())) }
        rotationWaiters.removeAll()
    }

    func failWaiters(_ error: MQTTError) {
        for waiter in waiters { endWait(waiter.id, .failure(error)) }
        for waiter in rotationWaiters { waiter.resume(returning: .failure(error)) }
        rotationWaiters.removeAll()
    }
}
