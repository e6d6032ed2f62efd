// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("The keeper of the credentials", .turn(.units), .timeLimit(.minutes(1)))
struct CredentialKeeperTests {
    /// Returns a new user name with each answer, or always the same one.
    private static func provider(isNew: Bool = true, life: TimeInterval? = nil) -> MQTTClosureCredentials {
        let counter = Counter()
        return MQTTClosureCredentials { _ in
            let number = isNew ? counter.count.add(1, ordering: .relaxed).newValue : 1
            return MQTTCredentials(username: "\(number)", expiresAt: life.map { Date.now + $0 })
        }
    }

    private final class Counter: Sendable {
        let count = Atomic(0)
    }

    private func keeper(
        _ provider: (any MQTTCredentialProvider)? = CredentialKeeperTests.provider(),
        _ change: (inout MQTTClientConfiguration) -> Void = { _ in }
    ) -> CredentialKeeper {
        var configuration = MQTTClientConfiguration(host: "broker")
        configuration.credentials = provider
        configuration.rotation.jitter = 0
        change(&configuration)
        return CredentialKeeper(configuration)
    }

    private func attempt(_ purpose: MQTTConnectAttempt.Purpose = .connect) -> MQTTConnectAttempt {
        MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "broker", port: 8883), purpose: purpose)
    }

    private func ask(
        _ keeper: inout CredentialKeeper, _ purpose: MQTTConnectAttempt.Purpose = .connect
    ) async -> CredentialKeeper.Outcome {
        let question = keeper.ask(for: attempt(purpose))
        return keeper.answered(await question.answer(), to: question, now: .now)
    }

    private func arrival(_ outcome: CredentialKeeper.Outcome) throws -> CredentialKeeper.Arrival {
        guard case .arrived(let arrival, _) = outcome else { throw MQTTError(.credentials, "\(outcome)") }
        return arrival
    }

    @Test func `shows what the provider gave, and tells of it`() async throws {
        var keeper = keeper()
        let outcome = await ask(&keeper)
        guard case .arrived(let arrival, .refreshed(let news)) = outcome else { throw MQTTError(.credentials, "none") }
        #expect(!arrival.isUnchanged && arrival.usableIn == .zero)
        #expect(news.source == "closure")
        let proof = try keeper.show(to: attempt().endpoint)
        #expect(proof.credentials.username == "1")
    }

    @Test func `without a provider the client is anonymous, and nothing is told`() async throws {
        var keeper = keeper(nil)
        guard case .arrived(_, .none) = await ask(&keeper) else { throw MQTTError(.credentials, "news") }
        let proof = try keeper.show(to: attempt().endpoint)
        #expect(proof.credentials.areSame(as: .anonymous))
        #expect(!keeper.hasProvider)
    }

    @Test func `an answer to an earlier question is ignored`() async {
        var keeper = keeper()
        let question = keeper.ask(for: attempt())
        let answer = await question.answer()
        _ = keeper.ask(for: attempt())
        guard case .none = keeper.answered(answer, to: question, now: .now) else {
            Issue.record("it was taken")
            return
        }
    }

    @Test func `a failure is passed on`() async {
        var keeper = keeper(MQTTClosureCredentials { _ in throw MQTTCredentialError.permanent("the issuer is gone") })
        guard case .failed(let error) = await ask(&keeper) else {
            Issue.record("it did not fail")
            return
        }
        #expect(error.code == .credentials)
    }

    @Test func `what the broker has refused is not new, until it is accepted`() async throws {
        var keeper = keeper(Self.provider(isNew: false))
        let first = try arrival(await ask(&keeper))
        _ = try keeper.show(to: attempt().endpoint)
        keeper.refused()
        let second = try arrival(await ask(&keeper, .rejected))
        keeper.accepted()
        let third = try arrival(await ask(&keeper))
        #expect([first, second, third].map(\.isUnchanged) == [false, true, false])
    }

    @Test func `a rotation with the credentials in use has nothing new`() async throws {
        var keeper = keeper(Self.provider(isNew: false, life: 100))
        _ = await ask(&keeper)
        let early = try arrival(await ask(&keeper, .rotation))
        #expect(early.isUnchanged && early.isEarly)
        let question = keeper.ask(for: attempt(.rotation))
        let late = try arrival(keeper.answered(await question.answer(), to: question, now: .now + .seconds(95)))
        #expect(!late.isEarly)
    }

    @Test func `credentials are replaced at a fraction of their life, less what has passed`() async throws {
        var keeper = keeper(Self.provider(life: 100))
        var delay = keeper.refreshDelay(now: .now)
        #expect(delay == nil)
        _ = await ask(&keeper)
        delay = keeper.refreshDelay(now: .now + .seconds(30))
        #expect(delay.map { $0 > .seconds(45) && $0 <= .seconds(50) } == true)
        #expect(!keeper.hasExpired(now: .now + .seconds(90)) && keeper.hasExpired(now: .now + .seconds(101)))
    }

    @Test func `a refusal calls for new credentials only when the old ones have expired`() async {
        for rotation in [MQTTRotation.reconnectNow, .onNextConnect] {
            var keeper = keeper(Self.provider(life: 100)) { $0.rotation.method = rotation }
            _ = await ask(&keeper)
            let later = ContinuousClock.now + .seconds(101)
            #expect(!keeper.isRefreshed(after: .notAuthorized, now: .now))
            #expect(!keeper.isRefreshed(after: .quotaExceeded, now: later))
            #expect(keeper.isRefreshed(after: .notAuthorized, now: later) == (rotation == .reconnectNow))
            let delay = keeper.refreshDelay(now: .now)
            #expect((delay != nil) == (rotation == .reconnectNow))
        }
    }

    @Test func `the user's wish counts for one question`() {
        var keeper = keeper()
        keeper.isDemanded = true
        _ = keeper.ask(for: attempt(.rotation))
        #expect(!keeper.isDemanded)
    }

    /// A stopped client may be kept for long.
    @Test func `has no secret once the client has stopped`() async throws {
        let provider = MQTTClosureCredentials { _ in MQTTCredentials(username: "u", password: "s3cr3t") }
        var keeper = keeper(provider) { $0.authenticator = MQTTTokenAuthenticator(method: "m") }
        _ = await ask(&keeper)
        #expect(try keeper.show(to: attempt().endpoint).authentication?.data == Array("s3cr3t".utf8))
        var text = ""
        dump(keeper, to: &text)
        // As text, or as bytes.
        #expect(!text.contains("s3cr3t") && !text.contains(/115\n\s*- 51\n/), "\(text)")
        keeper.refused()
        keeper.stop()
        #expect(keeper.credentials.username == nil && keeper.credentials.password == nil)
        #expect(try keeper.show(to: attempt().endpoint).authentication?.data == nil)
    }

    @Test func `an authenticator proves it instead of the password`() async throws {
        let provider = MQTTStaticCredentials(username: "u", password: "secret")
        var keeper = keeper(provider) { $0.authenticator = MQTTTokenAuthenticator(method: "m") }
        #expect(keeper.method == "m" && keeper.hasProvider)
        _ = await ask(&keeper)
        let proof = try keeper.show(to: attempt().endpoint)
        #expect(proof.credentials.username == "u" && proof.credentials.password == nil)
        #expect(proof.authentication?.method == "m" && proof.authentication?.data == Array("secret".utf8))
        let packet = keeper.reauthenticate()
        #expect(packet?.data == Array("secret".utf8))
        let answer = try #require(keeper.answer(to: [1]))
        guard case .failure(let error) = await answer() else {
            Issue.record("a method of one step has answered")
            return
        }
        #expect(error.code == .credentials)
    }
}
