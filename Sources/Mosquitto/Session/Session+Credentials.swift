import FoundationEssentials

/// Asking the provider, and rotating what it gave.
extension Session {
    func fetchCredentials(_ attempt: MQTTConnectAttempt) {
        guard let provider = configuration.credentials else { return }
        cancelFetch()
        let number = fetchNumber
        // Holds no reference to the session while the provider takes its time.
        credentialTask = Task { [weak self] in
            let result: Result<MQTTCredentials, MQTTError>
            do {
                let credentials = try await provider.credentials(for: attempt)
                try credentials.validate()
                result = .success(credentials)
            } catch {
                result = .failure(Self.failure(error))
            }
            await self?.fetched(result, number, attempt.purpose, source: provider.source)
        }
    }

    /// A provider that does not heed its cancellation goes on; its answer is ignored.
    func cancelFetch() {
        credentialTask?.cancel()
        credentialTask = nil
        fetchNumber += 1
    }

    private static func failure(_ error: any Error) -> MQTTError {
        if let error = error as? MQTTError {
            // Whatever its code, it is the provider's failure, and never ends the client by itself.
            var failure = MQTTError(.credentials, error.message, phase: .credentials)
            failure.underlying = error
            return failure
        }
        // Its description is not used: it is the user's, and may hold a secret.
        var failure = MQTTError(
            .credentials, "the credential provider failed with \(type(of: error))", phase: .credentials)
        failure.underlying = error
        return failure
    }

    private func fetched(
        _ result: Result<MQTTCredentials, MQTTError>, _ number: Int, _ purpose: MQTTConnectAttempt.Purpose,
        source: String
    ) {
        guard number == fetchNumber else { return }
        credentialTask = nil
        let isRotation = purpose == .rotation
        switch result {
        case .failure(let error):
            perform(
                isRotation ? machine.rotationFailed(error.description) : machine.credentialsFailed(error, now: .now))
            if isRotation { failRotation(error) }
        case .success(let fetched):
            // An expiry that moves with the clock does not make a password new.
            let before = isRotation ? credentials : rejected
            let unchanged = before.map { $0.username == fetched.username && $0.password == fetched.password } ?? false
            if !unchanged || !isRotation {
                credentials = fetched
                receivedAt = .now
                lifetime = TokenLifetime(fetched, receivedAt: Date.now)
            }
            if !unchanged {
                emit(.credentialsRefreshed(MQTTCredentialsRefreshed(expiresIn: lifetime?.remaining, source: source)))
            }
            if isRotation {
                perform(machine.rotationCredentialsArrived(unchanged: unchanged))
                if unchanged {
                    failRotation(
                        MQTTError(.credentials, "the credential provider has nothing new", phase: .credentials))
                }
            } else {
                perform(machine.credentialsArrived(unchanged: unchanged, now: .now))
            }
        }
    }

    /// When the credentials in use are to be replaced, from now; `nil` if they are not.
    func refreshDelay() -> Duration? {
        guard let fraction = configuration.refreshCredentialsAt, configuration.credentials != nil, let lifetime else {
            return nil
        }
        let delay = lifetime.refreshDelay(at: fraction, jitter: configuration.refreshJitter, using: &jitter)
        // Part of the life has passed since the receipt: a slow handshake, or credentials that served an earlier connection.
        return delay.map { max(.seconds(0), $0 - (ContinuousClock.now - receivedAt)) }
    }

    // MARK: Rotation on demand

    nonisolated func rotateCredentials() async throws(MQTTError) {
        let id = await makeWaiterID()
        let outcome = await withTaskCancellationHandler {
            await self.rotate(id)
        } onCancel: {
            Task { await self.cancelRotationWait(id) }
        }
        try outcome.get()
    }

    private func cancelRotationWait(_ id: WaiterID) {
        rotationWaiters.resume(id, .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")))
    }

    private func rotate(_ id: WaiterID) async -> Result<Void, MQTTError> {
        guard configuration.credentials != nil else {
            return .failure(MQTTError(.invalidConfiguration, "there is no credential provider to rotate with"))
        }
        guard case .connected = machine.state else {
            return .failure(
                MQTTError(.closed, "the client is not connected; the next attempt asks for credentials anyway"))
        }
        if Task.isCancelled { return .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")) }
        return await withCheckedContinuation { continuation in
            rotationWaiters.add(id, continuation)
            perform(machine.refresh())
        }
    }

    func failRotation(_ error: MQTTError) { rotationWaiters.resumeAll(.failure(error)) }

    /// Waits until nothing is in flight, handing out nothing new, so that no publish is sent twice.
    func drain() {
        isDraining = true
        checkDrained()
    }

    func checkDrained() {
        guard isDraining, inFlight.isEmpty, case .draining(let ending) = machine.state else { return }
        // A shutdown waits for what was published before it too.
        if ending == .shutdown, !pending.isEmpty { return }
        isDraining = false
        perform(machine.drained(now: .now))
    }
}
