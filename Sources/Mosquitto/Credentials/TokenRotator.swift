import FoundationEssentials

/// Stands between a credential provider and one client: at most one question at a time, whoever waits for its answer.
///
/// ``TokenRotationStateMachine`` decides whether the provider is asked at all. A caller that goes away does not cancel the
/// question: the next one, who comes at once when a connection was lost during a rotation, gets the same answer.
actor TokenRotator {
    typealias Answer = Result<Given, MQTTError>

    struct Given: Sendable {
        var token: TokenRotationStateMachine.Token
        /// Whether the provider was asked for it.
        var isNew: Bool
        /// Why what was held has to do.
        var failure: MQTTError?
    }

    private let provider: any MQTTCredentialProvider
    private let timeout: Duration
    private var machine: TokenRotationStateMachine
    private var question: Question?
    private var lastQuestion = 0

    private struct Question {
        let number: Int
        let task: Task<Answer, Never>
    }

    init(_ provider: any MQTTCredentialProvider, timeout: Duration, refreshAt fraction: Double?) {
        self.provider = provider
        self.timeout = timeout
        machine = TokenRotationStateMachine(reuse: provider.reuse, refreshAt: fraction)
    }

    nonisolated var source: String { provider.source }

    /// The credentials for an attempt or a rotation. `refused`: what the broker did not accept since the last connection.
    /// `isDemanded`: the user wants new ones now.
    func token(for attempt: MQTTConnectAttempt, refused: MQTTCredentials?, isDemanded: Bool) async -> Answer {
        if let question { return await question.task.value }
        if isDemanded { machine.forgive() }
        switch machine.need(attempt.purpose, refused: refused, now: .now) {
        case .use(let token): return .success(Given(token: token, isNew: false))
        case .fail(let error): return .failure(error)
        case .ask: return await ask(attempt, refused)
        }
    }

    private func ask(_ attempt: MQTTConnectAttempt, _ refused: MQTTCredentials?) async -> Answer {
        lastQuestion += 1
        let number = lastQuestion
        let provider = provider
        let timeout = timeout
        let task = Task { [weak self] () -> Answer in
            let result = await Self.bounded(timeout) { await Self.ask(provider, attempt) }
            return await self?.answered(result, number, attempt.purpose, refused) ?? .failure(Self.abandoned)
        }
        question = Question(number: number, task: task)
        return await task.value
    }

    private func answered(
        _ result: Result<MQTTCredentials, MQTTError>, _ number: Int, _ purpose: MQTTConnectAttempt.Purpose,
        _ refused: MQTTCredentials?
    ) -> Answer {
        if question?.number == number { question = nil }
        switch result {
        case .success(let credentials):
            return .success(Given(token: machine.received(credentials, now: .now, wall: Date.now), isNew: true))
        case .failure(let error):
            guard let held = machine.failed(error, purpose, refused: refused, now: .now) else {
                return .failure(error)
            }
            return .success(Given(token: held, isNew: false, failure: error))
        }
    }

    /// Nobody will want the answer any more.
    func abandon() {
        question?.task.cancel()
        question = nil
    }

    // MARK: The question

    @concurrent
    private static func ask(
        _ provider: any MQTTCredentialProvider, _ attempt: MQTTConnectAttempt
    ) async -> Result<MQTTCredentials, MQTTError> {
        do {
            let credentials = try await provider.credentials(for: attempt)
            try credentials.validate()
            return .success(credentials)
        } catch {
            return .failure(failure(error))
        }
    }

    /// The answer, or the end of the patience. A provider that does not heed its cancellation goes on, unheard.
    private static func bounded(
        _ timeout: Duration, _ ask: @escaping @Sendable () async -> Result<MQTTCredentials, MQTTError>
    ) async -> Result<MQTTCredentials, MQTTError> {
        let (answers, continuation) = AsyncStream.makeStream(of: Result<MQTTCredentials, MQTTError>.self)
        let asking = Task {
            continuation.yield(await ask())
            continuation.finish()
        }
        let waiting = Task {
            try await Task.sleep(for: timeout)
            continuation.yield(
                .failure(
                    MQTTError(
                        .credentials, "the credential provider took longer than \(timeout)", phase: .credentials)))
            continuation.finish()
        }
        defer {
            asking.cancel()
            waiting.cancel()
        }
        for await answer in answers { return answer }
        return .failure(abandoned)
    }

    private static var abandoned: MQTTError {
        MQTTError(.credentials, "the question to the credential provider was cancelled", phase: .credentials)
    }

    /// What a provider or an authenticator threw.
    static func failure(_ error: any Error, of provider: String = "credential provider") -> MQTTError {
        if let error = error as? MQTTError {
            // Whatever its code, it is the provider's failure, and never ends the client by itself.
            var failure = MQTTError(.credentials, error.message, phase: .credentials)
            failure.underlying = error
            return failure
        }
        // The description of the user's own error is not used: it may hold a secret.
        var failure = MQTTError(
            .credentials,
            (error as? MQTTCredentialError)?.message ?? "the \(provider) failed with \(type(of: error))",
            phase: .credentials)
        failure.underlying = error
        return failure
    }
}
