// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// A provider whose answers the test gives, and which counts the requests.
private final class Scripted: MQTTCredentialProvider {
    private let answer: @Sendable (Int) async throws -> MQTTCredentials
    private let count = Mutex(0)
    let reuse: MQTTCredentialReuse

    init(
        reuse: MQTTCredentialReuse = .never, _ answer: @escaping @Sendable (Int) async throws -> MQTTCredentials
    ) {
        self.reuse = reuse
        self.answer = answer
    }

    var questions: Int { count.withLock { $0 } }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let number = count.withLock { count in
            count += 1
            return count
        }
        return try await answer(number)
    }
}

private func attempt(_ purpose: MQTTConnectAttempt.Purpose = .connect) -> MQTTConnectAttempt {
    MQTTConnectAttempt(
        number: 1, isInitial: true, endpoint: MQTTEndpoint(host: "broker", port: 8883), purpose: purpose)
}

@Suite("The rotator between a provider and a client", .turn(.units), .timeLimit(.minutes(1)))
struct TokenRotatorTests {
    private func rotator(
        _ provider: Scripted, timeout: Duration = .seconds(30),
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) -> TokenRotator {
        TokenRotator(provider, timeout: timeout, refreshAt: 0.8, now: now)
    }

    /// Time that stands still until it is advanced.
    private final class StandingTime: Sendable {
        private let instant = Mutex(ContinuousClock.now)

        var now: ContinuousClock.Instant { instant.withLock { $0 } }
        func advance(by time: Duration) { instant.withLock { $0 += time } }
    }

    /// Counts how often the rotator looks at the time: once for each caller, when it takes its place, and once for each answer.
    private final class Looks: Sendable {
        private let looks = Mutex(0)

        var count: Int { looks.withLock { $0 } }
        func now() -> ContinuousClock.Instant {
            looks.withLock { $0 += 1 }
            return .now
        }
    }

    @Test func `simultaneous triggers make one question`() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let provider = Scripted { number in
            for await _ in gate {}
            return MQTTCredentials(username: "\(number)")
        }
        let looks = Looks()
        let rotator = rotator(provider, now: looks.now)
        let calls = (0..<10).map { index in
            Task {
                await rotator.token(for: attempt(index == 0 ? .rotation : .rejected), refused: nil, isDemanded: false)
            }
        }
        #expect(await eventually { provider.questions == 1 && looks.count == 10 })
        open.finish()
        for call in calls {
            let username = try await call.value.get().token.credentials.username
            #expect(username == "1")
        }
        #expect(provider.questions == 1)
    }

    @Test func `a caller that goes away does not take the question with it`() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let provider = Scripted { number in
            for await _ in gate {}
            try Task.checkCancellation()
            return MQTTCredentials(username: "\(number)")
        }
        let looks = Looks()
        let rotator = rotator(provider, now: looks.now)
        let first = Task { await rotator.token(for: attempt(), refused: nil, isDemanded: false) }
        #expect(await eventually { provider.questions == 1 })
        first.cancel()
        let second = Task { await rotator.token(for: attempt(), refused: nil, isDemanded: false) }
        #expect(await eventually { looks.count == 2 })
        open.finish()
        let username = try await second.value.get().token.credentials.username
        #expect(username == "1")
    }

    @Test func `a provider that hangs is given up and cancelled`() async throws {
        let wasCancelled = Mutex(false)
        let provider = Scripted { _ in
            await withTaskCancellationHandler {
                _ = try? await Task.sleep(for: .seconds(3_600))
            } onCancel: {
                wasCancelled.withLock { $0 = true }
            }
            return .anonymous
        }
        let answer = await rotator(provider, timeout: .milliseconds(20)).token(
            for: attempt(), refused: nil, isDemanded: false)
        guard case .failure(let error) = answer else {
            Issue.record("there was an answer")
            return
        }
        #expect(error.code == .credentials)
        #expect(error.message.contains("longer than"))
        #expect(await eventually { wasCancelled.withLock { $0 } })
    }

    @Test func `a provider that ignores its cancellation is not waited for`() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let provider = Scripted { number in
            if number == 1 { await Task.detached { for await _ in gate {} }.value }
            return MQTTCredentials(username: "\(number)")
        }
        let rotator = rotator(provider, timeout: .seconds(1))
        let first = await rotator.token(for: attempt(), refused: nil, isDemanded: false)
        #expect(throws: MQTTError.self) { _ = try first.get() }
        let second = await rotator.token(for: attempt(), refused: nil, isDemanded: false)
        let username = try second.get().token.credentials.username
        #expect(username == "2")
        open.finish()
    }

    @Test func `its errors become those of credentials, and say no more than they may`() async throws {
        struct Leaky: Error, CustomStringConvertible { var description: String { "the token is s3cret" } }
        for (error, expected) in [
            (Leaky() as any Error, "the credential provider failed with Leaky"),
            (MQTTCredentialError.permanent("invalid_client"), "invalid_client"),
            (MQTTError(.stopped, "nonsense"), "nonsense"),
        ] {
            let provider = Scripted { _ in throw error }
            let answer = await rotator(provider).token(for: attempt(), refused: nil, isDemanded: false)
            guard case .failure(let failure) = answer else {
                Issue.record("there was an answer")
                return
            }
            #expect(failure.code == .credentials)
            #expect(failure.message == expected)
            #expect(!String(describing: failure).contains("s3cret"))
        }
    }

    @Test func `what held has to do is said`() async throws {
        let text = makeToken(#"{"iat":0,"exp":3600}"#)
        let provider = Scripted { number in
            if number > 1 { throw MQTTCredentialError.transient("the issuer is down") }
            return MQTTCredentials(username: "u", password: MQTTSecret(text))
        }
        let rotator = rotator(provider)
        let new = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        #expect(new.isNew)
        let held = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        #expect(!held.isNew)
        #expect(held.failure?.message == "the issuer is down")
        #expect(held.token.credentials.username == "u")
    }

    // MARK: A provider that hangs

    private static let token = MQTTCredentials(
        username: "u", password: MQTTSecret(makeToken(#"{"iat":0,"exp":3600}"#)))

    @Test func `a connect that joins a rotation's question gets what is held when that fails (core 4)`() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let provider = Scripted { number in
            if number == 1 { return Self.token }
            for await _ in gate {}
            throw MQTTCredentialError.transient("the issuer is down")
        }
        let looks = Looks()
        let rotator = rotator(provider, now: looks.now)
        _ = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        let rotation = Task { await rotator.token(for: attempt(.rotation), refused: nil, isDemanded: false) }
        #expect(await eventually { provider.questions == 2 })
        let connect = Task { await rotator.token(for: attempt(), refused: nil, isDemanded: false) }
        let rejected = Task { await rotator.token(for: attempt(.rejected), refused: Self.token, isDemanded: false) }
        // Four callers, and an answer.
        #expect(await eventually { looks.count == 5 })
        open.finish()
        let held = try await connect.value.get()
        #expect(held.token.credentials == Self.token)
        #expect(held.failure?.message == "the issuer is down")
        await #expect(throws: MQTTError.self) { _ = try await rotation.value.get() }
        await #expect(throws: MQTTError.self) { _ = try await rejected.value.get() }
        #expect(provider.questions == 2)
    }

    @Test func `the second connect does not wait for the same hang, and the failure is told once (core 4)`()
        async throws
    {
        let provider = Scripted { number in
            if number > 1 { try await Task.sleep(for: .seconds(3_600)) }
            return Self.token
        }
        let time = StandingTime()
        let rotator = rotator(provider, timeout: .milliseconds(300), now: { time.now })
        _ = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        let first = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        #expect(first.failure?.message.contains("longer than") == true)
        let second = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        #expect(second.token.credentials == Self.token)
        #expect(second.failure == nil)
        #expect(provider.questions == 2)
        // After the delay, the provider is asked while the token is used.
        time.advance(by: .seconds(1))
        let meanwhile = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
        #expect(meanwhile.token.credentials == Self.token)
        let failure = await meanwhile.laterFailure?()
        #expect(failure?.message.contains("longer than") == true)
        #expect(provider.questions == 3)
    }

    @Test func `a provider that works again is waited for again (core 4)`() async throws {
        let provider = Scripted { number in
            if number == 2 { try await Task.sleep(for: .seconds(3_600)) }
            return Self.token
        }
        let rotator = rotator(provider, timeout: .seconds(1))
        for _ in 0..<2 { _ = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get() }
        #expect(
            try await eventually {
                let given = try await rotator.token(for: attempt(), refused: nil, isDemanded: false).get()
                return given.isNew && provider.questions > 3
            })
    }

    @Test func `a time-out of any length does not trap (core 24)`() async throws {
        let provider = Scripted { _ in Self.token }
        let answer = await rotator(provider, timeout: .seconds(Int64.max)).token(
            for: attempt(), refused: nil, isDemanded: false)
        #expect(throws: Never.self) { try answer.get() }
    }

    @Test func `what cannot be sent is refused here`() async {
        for text in [String(repeating: "x", count: 65_536), "a\0b"] {
            let provider = Scripted { _ in MQTTCredentials(password: MQTTSecret(text)) }
            let answer = await rotator(provider).token(for: attempt(), refused: nil, isDemanded: false)
            #expect(throws: MQTTError.self) { _ = try answer.get() }
        }
    }
}
