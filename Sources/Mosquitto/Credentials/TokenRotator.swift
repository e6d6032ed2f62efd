import FoundationEssentials
import Synchronization

/// Stands between a credential provider and one client: at most one question at a time, whoever waits for its answer.
///
/// ``TokenRotationStateMachine`` decides whether the provider is asked at all. A caller that goes away does not cancel the
/// question: the next one, who comes at once when a connection was lost during a rotation, gets the same answer. The one deadline
/// of a question is here.
final class TokenRotator: Sendable {
    typealias Answer = Result<Given, MQTTError>
    private typealias Token = TokenRotationStateMachine.Token

    struct Given: Sendable {
        var token: TokenRotationStateMachine.Token
        /// Whether the provider was asked for it.
        var isNew: Bool
        /// Why what was held has to do.
        var failure: MQTTError?
        /// Waits for the question that goes on meanwhile: its failure, unless another caller hears of it.
        var laterFailure: (@Sendable () async -> MQTTError?)?
    }

    private struct State {
        var machine: TokenRotationStateMachine
        var question: Question?
        var lastQuestion = 0
    }

    private final class Question: Sendable {
        let number: Int
        let task: Task<Result<Token, MQTTError>, Never>
        /// Whether a caller waits for it.
        let isHeard = Atomic(false)

        init(number: Int, task: Task<Result<Token, MQTTError>, Never>) {
            self.number = number
            self.task = task
        }
    }

    private enum Step {
        case answer(Answer)
        case wait(Question)
    }

    private let provider: any MQTTCredentialProvider
    private let timeout: Duration
    private let state: Mutex<State>

    init(_ provider: any MQTTCredentialProvider, timeout: Duration, refreshAt fraction: Double?) {
        self.provider = provider
        self.timeout = timeout
        state = Mutex(State(machine: TokenRotationStateMachine(reuse: provider.reuse, refreshAt: fraction)))
    }

    var source: String { provider.source }

    /// How long an attempt would ask nobody, and have nothing to dial with.
    func wait(refused: MQTTCredentials?) -> Duration {
        state.withLock { $0.question == nil ? $0.machine.wait(refused: refused, now: .now) : .zero }
    }

    /// The credentials for an attempt or a rotation. `refused`: what the broker did not accept since the last connection.
    /// `isDemanded`: the user wants new ones now.
    func token(for attempt: MQTTConnectAttempt, refused: MQTTCredentials?, isDemanded: Bool) async -> Answer {
        let step = state.withLock { state -> Step in
            let isAsking = state.question != nil
            if isDemanded, !isAsking { state.machine.forgive() }
            switch state.machine.need(attempt.purpose, refused: refused, isAsking: isAsking, now: .now) {
            case .use(let token): return .answer(.success(Given(token: token, isNew: false)))
            case .fail(let error): return .answer(.failure(error))
            case .ask: return .wait(state.question ?? ask(attempt, &state))
            case .useAndAsk(let token):
                let question = ask(attempt, &state)
                return .answer(.success(Given(token: token, isNew: false) { await Self.laterFailure(of: question) }))
            }
        }
        switch step {
        case .answer(let answer): return answer
        case .wait(let question): return await answer(to: question, attempt.purpose, refused)
        }
    }

    /// The answer for this caller, who may have joined the question of another, with another purpose.
    private func answer(
        to question: Question, _ purpose: MQTTConnectAttempt.Purpose, _ refused: MQTTCredentials?
    ) async -> Answer {
        question.isHeard.store(true, ordering: .relaxed)
        switch await question.task.value {
        case .success(let token): return .success(Given(token: token, isNew: true))
        case .failure(let error):
            let held = state.withLock { $0.machine.held(for: purpose, refused: refused, now: .now) }
            return held.map { .success(Given(token: $0, isNew: false, failure: error)) } ?? .failure(error)
        }
    }

    private static func laterFailure(of question: Question) async -> MQTTError? {
        guard case .failure(let error) = await question.task.value, !question.isHeard.load(ordering: .relaxed) else {
            return nil
        }
        return error
    }

    private func ask(_ attempt: MQTTConnectAttempt, _ state: inout State) -> Question {
        state.lastQuestion += 1
        let number = state.lastQuestion
        let provider = provider
        let timeout = timeout
        let start = ContinuousClock.now
        let task = Task { [weak self] () -> Result<Token, MQTTError> in
            let result = await within(timeout) { await Self.ask(provider, attempt) }
            if result == nil, Task.isCancelled { return .failure(Self.abandoned) }
            return self?.answered(result ?? .failure(Self.overdue(timeout)), number, after: .now - start)
                ?? .failure(Self.abandoned)
        }
        let question = Question(number: number, task: task)
        state.question = question
        return question
    }

    /// A question that failed after a second or at its deadline was a slow one.
    private func answered(
        _ result: Result<MQTTCredentials, MQTTError>, _ number: Int, after time: Duration
    ) -> Result<Token, MQTTError> {
        state.withLock { state in
            if state.question?.number == number { state.question = nil }
            switch result {
            case .success(let credentials):
                return .success(state.machine.received(credentials, now: .now, wall: Date.now))
            case .failure(let error):
                state.machine.failed(error, wasSlow: time >= min(timeout, .seconds(1)), now: .now)
                return .failure(error)
            }
        }
    }

    /// Nobody will want the answer any more.
    func abandon() {
        let question = state.withLock { state in
            defer { state.question = nil }
            return state.question
        }
        question?.task.cancel()
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

    static func overdue(_ timeout: Duration, _ what: String = "credential provider") -> MQTTError {
        MQTTError(.credentials, "the \(what) took longer than \(timeout)", phase: .credentials)
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
