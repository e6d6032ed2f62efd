// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Serializes one client's requests to a credential provider: at most one request at a time, whose result all waiting
/// callers share.
///
/// ``TokenRotationStateMachine`` decides whether the provider is asked at all. A caller that stops waiting does not
/// cancel the request: the next caller, which arrives at once if a connection was lost during a rotation, receives the
/// same result. The rotator also enforces the deadline of a request.
final class TokenRotator: Sendable {
    typealias Answer = Result<Given, MQTTError>
    private typealias Token = TokenRotationStateMachine.Token

    struct Given: Sendable {
        var token: TokenRotationStateMachine.Token
        /// True if the provider was asked for this token.
        var isNew: Bool
        /// The failure because of which a held token is used.
        var failure: MQTTError?
        /// Waits for the request in progress and returns its failure, unless another caller receives it.
        var laterFailure: (@Sendable () async -> MQTTError?)?
    }

    private struct State {
        var machine: TokenRotationStateMachine
        var question: Question?
        var lastQuestion = 0
        /// True when the client has stopped: no token is kept any more.
        var isAbandoned = false
    }

    private final class Question: Sendable {
        let number: Int
        let task: Task<Result<Token, MQTTError>, Never>
        /// True if a caller waits for the result.
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
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>

    /// - Parameter now: the time of the decisions; replaced in tests.
    init(
        _ provider: any MQTTCredentialProvider, timeout: Duration, refreshAt fraction: Double?,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.provider = provider
        self.timeout = timeout
        self.now = now
        state = Mutex(State(machine: TokenRotationStateMachine(reuse: provider.reuse, refreshAt: fraction)))
    }

    var source: String { provider.source }

    /// Time for which an attempt could neither ask the provider nor dial with a held token.
    func wait(refused: MQTTCredentials?) -> Duration {
        state.withLock { $0.question == nil ? $0.machine.wait(refused: refused, now: now()) : .zero }
    }

    /// Returns the credentials for an attempt or a rotation. `refused`: the credentials that the broker has rejected
    /// since the last connection. `isDemanded`: the user asks for new ones now.
    func token(for attempt: MQTTConnectAttempt, refused: MQTTCredentials?, isDemanded: Bool) async -> Answer {
        let step = state.withLock { state -> Step in
            let isAsking = state.question != nil
            if isDemanded, !isAsking { state.machine.forgive() }
            switch state.machine.need(attempt.purpose, refused: refused, isAsking: isAsking, now: now()) {
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

    /// Returns the result for this caller, which may have joined the request of another caller with another purpose.
    private func answer(
        to question: Question, _ purpose: MQTTConnectAttempt.Purpose, _ refused: MQTTCredentials?
    ) async -> Answer {
        question.isHeard.store(true, ordering: .relaxed)
        switch await question.task.value {
        case .success(let token): return .success(Given(token: token, isNew: true))
        case .failure(let error):
            let held = state.withLock { $0.machine.held(for: purpose, refused: refused, now: now()) }
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
            return self?.answered(result ?? .failure(MQTTError.providerOverdue(timeout)), number, after: .now - start)
                ?? .failure(Self.abandoned)
        }
        let question = Question(number: number, task: task)
        state.question = question
        return question
    }

    /// Stores the result. A request that failed after at least a second, or at its deadline, counts as slow.
    private func answered(
        _ result: Result<MQTTCredentials, MQTTError>, _ number: Int, after time: Duration
    ) -> Result<Token, MQTTError> {
        state.withLock { state in
            if state.question?.number == number { state.question = nil }
            if state.isAbandoned { return .failure(Self.abandoned) }
            switch result {
            case .success(let credentials):
                return .success(state.machine.received(credentials, now: now(), wall: Date.now))
            case .failure(let error):
                state.machine.failed(error, wasSlow: time >= min(timeout, .seconds(1)), now: now())
                return .failure(error)
            }
        }
    }

    /// Cancels the request, whose result is no longer needed, and releases the tokens.
    func abandon() {
        let question = state.withLock { state in
            defer { state.question = nil }
            state.isAbandoned = true
            state.machine.forget()
            return state.question
        }
        question?.task.cancel()
    }

    // MARK: Request

    @concurrent
    private static func ask(
        _ provider: any MQTTCredentialProvider, _ attempt: MQTTConnectAttempt
    ) async -> Result<MQTTCredentials, MQTTError> {
        do {
            let credentials = try await provider.credentials(for: attempt)
            try credentials.validate()
            return .success(credentials)
        } catch {
            return .failure(.providerFailure(error))
        }
    }

    private static var abandoned: MQTTError {
        MQTTError(.credentials, "the question to the credential provider was cancelled", phase: .credentials)
    }
}
