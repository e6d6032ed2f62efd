// SPDX-License-Identifier: Apache-2.0

import Logging

/// Requests to the credential provider, and rotation.
extension Session {
    func fetchCredentials(_ attempt: MQTTConnectAttempt) {
        let question = keeper.ask(for: attempt)
        // The task does not retain the session while it waits for the provider.
        keeper.task = Task { [weak self, logger] in
            let answer = await SecretFileWarnings.$logger.withValue(logger) { await question.answer() }
            await self?.fetched(answer, question)
        }
    }

    private func fetched(_ answer: CredentialKeeper.Answer, _ question: CredentialKeeper.Question) {
        let isRotation = question.attempt.purpose == .rotation
        let isAwaited = isRotation && machine.isAwaitingRotation
        switch keeper.answered(answer, to: question, now: .now) {
        case .none: break
        case .failed(let error):
            guard isRotation else { return perform(machine.credentialsFailed(error, now: .now)) }
            perform(machine.rotationFailed(error, retryAfter: error.retryAfter, isPermanent: error.isPermanent))
            if isAwaited { failRotation(error) }
        case .arrived(let arrival, let news):
            shared.setTokenExpiry(keeper.expiry)
            tell(news)
            guard isRotation else {
                return perform(
                    machine.credentialsArrived(
                        unchanged: arrival.isUnchanged, usableIn: arrival.usableIn, now: .now))
            }
            if arrival.isUnchanged { logger.debug("the credential provider has nothing new yet") }
            perform(
                machine.rotationCredentialsArrived(
                    unchanged: arrival.isUnchanged, isEarly: arrival.isEarly, usableIn: arrival.usableIn))
            if arrival.isUnchanged, isAwaited {
                failRotation(MQTTError(.credentials, "the credential provider has nothing new", phase: .credentials))
            }
        }
    }

    private func tell(_ news: CredentialKeeper.News) {
        switch news {
        case .none: break
        case .refreshed(let refreshed): emit(.credentialsRefreshed(refreshed))
        case .failed(let failure): tell(failure)
        case .pending(let laterFailure):
            Task { [weak self] in
                if let failure = await laterFailure() { await self?.tell(failure) }
            }
        }
    }

    /// Reports a failure of the provider without consequences: its last credentials stay in use.
    private func tell(_ failure: MQTTError) {
        if case .stopped = machine.state { return }
        emit(.credentialsFailed(MQTTCredentialsFailed(error: failure, retryIn: nil)))
    }

    /// Refreshes an expired token after a refusal: some brokers keep a connection whose token has expired, but refuse
    /// its operations from then on.
    func noticeRefusal(_ code: MQTTReasonCode) {
        if keeper.isRefreshed(after: code, now: .now) { perform(machine.expiredTokenRefused()) }
    }

    // MARK: Rotation on demand

    nonisolated func rotateCredentials(_ rotation: MQTTRotation) async throws(MQTTError) {
        let id = await makeWaiterID()
        let outcome = await withTaskCancellationHandler {
            await self.rotate(id, rotation)
        } onCancel: {
            Task { await self.cancelRotationWait(id) }
        }
        try outcome.get()
    }

    // MARK: A new client certificate

    /// Checks that the new certificate can be used before the connection is closed for it.
    nonisolated func rotateIdentity(_ tls: MQTTTLSConfiguration) async throws(MQTTError) {
        try await Self.check(tls, for: configuration.endpoints[0])
        let id = await makeWaiterID()
        let outcome = await withTaskCancellationHandler {
            await self.reconnect(id)
        } onCancel: {
            Task { await self.cancelRotationWait(id) }
        }
        try outcome.get()
    }

    @concurrent
    private static func check(_ tls: MQTTTLSConfiguration, for endpoint: MQTTEndpoint) async throws(MQTTError) {
        _ = try await TLSContext.prepare(nil, tls, for: endpoint, turn: 0)
    }

    private func reconnect(_ id: WaiterID) async -> Result<Void, MQTTError> {
        guard case .connected = machine.state else { return .failure(Self.notConnected) }
        if Task.isCancelled { return .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")) }
        return await withCheckedContinuation { continuation in
            waiters.addForIdentity(id, continuation)
            perform(machine.rotateIdentity())
        }
    }

    private static var notConnected: MQTTError {
        MQTTError(.closed, "the client is not connected; the next attempt takes what is new anyway")
    }

    private func cancelRotationWait(_ id: WaiterID) {
        waiters.endRotationWait(id, MQTTError(.cancelled, "the wait for a rotation was cancelled"))
    }

    private func rotate(_ id: WaiterID, _ rotation: MQTTRotation) async -> Result<Void, MQTTError> {
        guard keeper.hasProvider else {
            return .failure(MQTTError(.invalidConfiguration, "there is no credential provider to rotate with"))
        }
        guard case .connected = machine.state else {
            return .failure(Self.notConnected)
        }
        if Task.isCancelled { return .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")) }
        return await withCheckedContinuation { continuation in
            waiters.addForRotation(id, continuation)
            let actions = machine.refresh(rotation)
            if !actions.isEmpty { keeper.isDemanded = true }
            perform(actions)
        }
    }

    func failRotation(_ error: MQTTError) { waiters.rotated(.failure(error)) }
}
