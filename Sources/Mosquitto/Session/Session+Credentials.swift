import FoundationEssentials
import Logging

/// Asking the provider, and rotating what it gave.
extension Session {
    func fetchCredentials(_ attempt: MQTTConnectAttempt) {
        cancelFetch()
        let number = fetchNumber
        let rotator = rotator
        let authenticator = configuration.authenticator
        let timeout = configuration.timeouts.credentials
        let refused = refused(at: attempt.purpose)
        let isDemanded = isRotationDemanded
        // Holds no reference to the session while the provider takes its time.
        credentialTask = Task { [weak self] in
            let answer = await Self.fetch(
                attempt, rotator, authenticator, timeout, refused: refused, isDemanded: isDemanded)
            await self?.fetched(answer, number, attempt.purpose)
        }
    }

    /// What a question for this purpose must not be answered with.
    func refused(at purpose: MQTTConnectAttempt.Purpose) -> MQTTCredentials? {
        // A broker that closes without a word has not said that it refuses them; fresh ones are asked for all the same.
        rejected ?? (purpose == .rejected ? shown : nil)
    }

    /// Ends the wait for an answer. The question itself goes on, for whoever asks next.
    func cancelFetch() {
        credentialTask?.cancel()
        credentialTask = nil
        fetchNumber += 1
    }

    private typealias Fetched = Result<(given: TokenRotator.Given, data: [UInt8]?), MQTTError>

    @concurrent
    private static func fetch(
        _ attempt: MQTTConnectAttempt, _ rotator: TokenRotator?, _ authenticator: (any MQTTAuthenticator)?,
        _ timeout: Duration, refused: MQTTCredentials?, isDemanded: Bool
    ) async -> Fetched {
        var given = TokenRotator.Given(
            token: .init(credentials: .anonymous, receivedAt: .now, lifetime: nil, usableAt: .now), isNew: false)
        if let rotator {
            switch await rotator.token(for: attempt, refused: refused, isDemanded: isDemanded) {
            case .failure(let error): return .failure(error)
            case .success(let answer): given = answer
            }
        }
        guard let authenticator else { return .success((given, nil)) }
        let credentials = given.token.credentials
        let data = await authenticationData(within: timeout) { try await authenticator.begin(with: credentials) }
        return data.map { (given, $0) }
    }

    private func fetched(_ answer: Fetched, _ number: Int, _ purpose: MQTTConnectAttempt.Purpose) {
        guard number == fetchNumber else { return }
        credentialTask = nil
        let isRotation = purpose == .rotation
        switch answer {
        case .failure(let error):
            guard isRotation else { return perform(machine.credentialsFailed(error, now: .now)) }
            let isAwaited = machine.isAwaitingRotation
            perform(
                machine.rotationFailed(
                    error.description, retryAfter: error.retryAfter, isPermanent: error.isPermanent))
            if isAwaited { failRotation(error) }
        case .success((let given, let data)):
            let token = given.token
            // Without a provider, what is new comes from the authenticator.
            let unchanged = rotator != nil && token.credentials.areSame(as: isRotation ? credentials : rejected)
            if !unchanged || !isRotation {
                credentials = token.credentials
                authenticationData = data
                receivedAt = token.receivedAt
                lifetime = token.lifetime
            }
            tell(given, unchanged: unchanged)
            let wait = max(.zero, token.usableAt - .now)
            if isRotation {
                let isAwaited = machine.isAwaitingRotation
                // A file that is renewed late, as Kubernetes does at 80 % of a token's life, has nothing new at first.
                let isEarly = lifetime.map { !$0.hasPassed(Self.lateness, since: receivedAt) } ?? false
                if unchanged { logger.debug("the credential provider has nothing new yet") }
                perform(machine.rotationCredentialsArrived(unchanged: unchanged, isEarly: isEarly, usableIn: wait))
                if unchanged, isAwaited {
                    failRotation(
                        MQTTError(.credentials, "the credential provider has nothing new", phase: .credentials))
                }
            } else {
                perform(machine.credentialsArrived(unchanged: unchanged, usableIn: wait, now: .now))
            }
        }
    }

    /// The fraction of a token's life from which on it is a failure that there is no new one yet.
    private static let lateness = 0.9

    private func tell(_ given: TokenRotator.Given, unchanged: Bool) {
        if let failure = given.failure {
            tell(failure)
        } else if let laterFailure = given.laterFailure {
            Task { [weak self] in
                if let failure = await laterFailure() { await self?.tell(failure) }
            }
        } else if given.isNew, !unchanged, let rotator {
            let expiresIn = given.token.lifetime.map { max(.zero, $0.remaining - (.now - given.token.receivedAt)) }
            emit(.credentialsRefreshed(MQTTCredentialsRefreshed(expiresIn: expiresIn, source: rotator.source)))
        }
    }

    /// A failure of the provider that costs nothing: what it gave last has to do.
    private func tell(_ failure: MQTTError) {
        if case .stopped = machine.state { return }
        emit(.credentialsFailed(MQTTCredentialsFailed(message: failure.description, retryIn: nil)))
    }

    /// When the credentials in use are to be replaced, from now; `nil` if they are not.
    func refreshDelay() -> Duration? {
        guard let fraction = configuration.refreshCredentialsAt, configuration.credentials != nil,
            configuration.rotation != .onNextConnect, let lifetime
        else { return nil }
        let delay = lifetime.refreshDelay(at: fraction, jitter: configuration.refreshJitter, using: &jitter)
        // Part of the life has passed since the receipt: a slow handshake, or credentials that served an earlier connection.
        return delay.map { max(.seconds(0), $0 - (ContinuousClock.now - receivedAt)) }
    }

    /// Some brokers keep a connection whose token has expired, and refuse what is done on it from then on.
    func noticeRefusal(_ code: MQTTReasonCode) {
        guard code == .notAuthorized, configuration.rotation != .onNextConnect, let lifetime,
            lifetime.hasEnded(since: receivedAt)
        else { return }
        perform(machine.expiredTokenRefused())
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

    /// Makes sure that it can be used before the connection is ended for it.
    nonisolated func rotateIdentity(_ tls: TLSConfiguration) async throws(MQTTError) {
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
    private static func check(_ tls: TLSConfiguration, for endpoint: MQTTEndpoint) async throws(MQTTError) {
        _ = try await TLSContext.prepare(nil, tls, for: endpoint, turn: 0)
    }

    private func reconnect(_ id: WaiterID) async -> Result<Void, MQTTError> {
        guard case .connected = machine.state else { return .failure(Self.notConnected) }
        if Task.isCancelled { return .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")) }
        return await withCheckedContinuation { continuation in
            identityWaiters.add(id, continuation)
            perform(machine.rotateIdentity())
        }
    }

    private static var notConnected: MQTTError {
        MQTTError(.closed, "the client is not connected; the next attempt takes what is new anyway")
    }

    private func cancelRotationWait(_ id: WaiterID) {
        let error = MQTTError(.cancelled, "the wait for a rotation was cancelled")
        rotationWaiters.resume(id, .failure(error))
        identityWaiters.resume(id, .failure(error))
    }

    private func rotate(_ id: WaiterID, _ rotation: MQTTRotation) async -> Result<Void, MQTTError> {
        guard configuration.credentials != nil || configuration.authenticator != nil else {
            return .failure(MQTTError(.invalidConfiguration, "there is no credential provider to rotate with"))
        }
        guard case .connected = machine.state else {
            return .failure(Self.notConnected)
        }
        if Task.isCancelled { return .failure(MQTTError(.cancelled, "the wait for a rotation was cancelled")) }
        return await withCheckedContinuation { continuation in
            rotationWaiters.add(id, continuation)
            isRotationDemanded = true
            perform(machine.refresh(rotation))
            isRotationDemanded = false
        }
    }

    func failRotation(_ error: MQTTError) { rotationWaiters.resumeAll(.failure(error)) }
}
