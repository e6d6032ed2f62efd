// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite("The upgrade to a WebSocket", .turn(.units), .timeLimit(.minutes(1)))
struct UpgradeTests {
    private static let endpoint = MQTTEndpoint.secureWebSocket(host: "broker")

    private func trace(
        hasProvider: Bool = true, hasPreparation: Bool = true, redirects: MQTTRedirectPolicy = .none
    ) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider) {
            $0.endpoints = [Self.endpoint]
            $0.hasPreparation = hasPreparation
            $0.redirects = redirects
            $0.timeouts.upgrade = .seconds(6)
        }
        _ = trace.start()
        if hasProvider { _ = trace.credentials() }
        for phase in [MQTTError.Phase.connect, .tlsHandshake, .upgrade] { _ = trace.entered(phase) }
        return trace
    }

    private func refusal(_ status: Int, _ code: MQTTError.Code = .upgradeRefused, retryAfter: Duration? = nil)
        -> MQTTError
    {
        var error = MQTTError(code, "refused", phase: .upgrade)
        error.httpStatus = status
        error.webSocket = MQTTWebSocketFailure(retryAfter: retryAfter)
        return error
    }

    // MARK: The machine

    @Test func `has a deadline of its own`() {
        var trace = trace()
        #expect(trace.timers[.phase] == .seconds(6))
        #expect(trace.fire(.phase).contains { $0.contains("attempt 1 failed in upgrade: timeout") })
    }

    @Test func `refused with 403 is retried once at once, with a new request`() {
        var trace = trace()
        #expect(trace.failed(refusal(403, .notAuthorized)).contains { $0.contains("retry with fresh credentials") })
        #expect(trace.machine.purpose == .rejected && trace.timers[.retry] == nil)
        #expect(trace.credentials(unchanged: true).contains { $0.contains("failed in credentials") })
        #expect(trace.retryDelay == .seconds(5))
    }

    @Test func `refused with 403 again, with a request that was new, waits`() {
        var trace = trace()
        trace.failed(refusal(403, .notAuthorized))
        _ = trace.credentials()
        for phase in [MQTTError.Phase.connect, .upgrade] { _ = trace.entered(phase) }
        trace.failed(refusal(403, .notAuthorized))
        #expect(trace.retryDelay == .seconds(5))
    }

    @Test(arguments: [false, true])
    func `refused with 403 waits, if the request has nothing of the provider`(hasProvider: Bool) {
        var trace = trace(hasProvider: hasProvider, hasPreparation: false)
        trace.failed(refusal(403, .notAuthorized))
        #expect(trace.retryDelay == .seconds(5) && trace.machine.purpose == .connect)
    }

    @Test func `waits at least as long as the server asks for`() {
        var trace = trace()
        trace.failed(refusal(503, retryAfter: .seconds(77)))
        #expect(trace.retryDelay == .seconds(77))
    }

    @Test func `follows an HTTP redirection that the policy allows, with new credentials`() {
        for (policy, location, host) in [
            (MQTTRedirectPolicy.none, "/other", nil), (.listed, "wss://elsewhere/", nil), (.listed, "/other", "broker"),
            (.any, "wss://elsewhere/", "elsewhere"),
        ] as [(MQTTRedirectPolicy, String, String?)] {
            var trace = trace(redirects: policy)
            var error = refusal(307)
            error.webSocket?.location = location
            trace.failed(error)
            #expect((trace.retryDelay == nil) == (host != nil), "\(policy) \(location)")
            if let host { #expect(trace.machine.endpoint.host == host && trace.machine.endpoint != Self.endpoint) }
        }
    }

    // MARK: The keeper

    /// Counts the requests that were prepared.
    private final class Preparations: Sendable {
        let count = Atomic(0)
        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    }

    private func keeper(
        provider: (any MQTTCredentialProvider)? = nil, _ preparation: MQTTWebSocketPreparation?,
        timeout: Duration = .seconds(30)
    ) -> CredentialKeeper {
        var configuration = MQTTClientConfiguration(endpoints: [
            Self.endpoint, MQTTEndpoint(host: "broker", port: 8_883),
        ])
        configuration.credentials = provider
        configuration.webSocket.headers = [MQTTWebSocketHeader("X-Tenant", "one")]
        configuration.webSocket.prepare = preparation
        configuration.timeouts.credentials = timeout
        return CredentialKeeper(configuration)
    }

    private func ask(
        _ keeper: inout CredentialKeeper, _ purpose: MQTTConnectAttempt.Purpose = .connect,
        to endpoint: MQTTEndpoint = endpoint
    ) async -> Result<CredentialKeeper.Arrival, MQTTError> {
        let question = keeper.ask(for: MQTTConnectAttempt(endpoint: endpoint, purpose: purpose))
        switch keeper.answered(await question.answer(), to: question, now: .now) {
        case .arrived(let arrival, _): return .success(arrival)
        case .failed(let error): return .failure(error)
        case .none: return .failure(MQTTError(.cancelled, "none"))
        }
    }

    @Test func `prepares the request with the credentials of the provider, before each attempt`() async throws {
        let preparations = Preparations()
        var keeper = keeper(
            provider: MQTTStaticCredentials(username: "u", password: "jwt"),
            .closure { request, credentials, attempt in
                request = try await MQTTWebSocketPreparation.bearer().prepare(request, credentials, attempt)
                request.query = MQTTSecret("n=\(preparations.next())")
            })
        for number in 1...2 {
            _ = try await ask(&keeper).get()
            let proof = try keeper.show(to: Self.endpoint)
            #expect(proof.request?.query == MQTTSecret("n=\(number)"))
            #expect(proof.request?.headers.map(\.name) == ["X-Tenant", "Authorization"])
            #expect(proof.request?.headers.last?.value == "Bearer jwt")
        }
    }

    @Test func `of another endpoint is not prepared, and not sent`() async throws {
        var keeper = keeper(.closure { request, _, _ in request.query = "x" })
        _ = try await ask(&keeper, to: MQTTEndpoint(host: "broker", port: 8_883)).get()
        let proof = try keeper.show(to: MQTTEndpoint(host: "broker", port: 8_883))
        #expect(proof.request == nil)
        #expect(throws: MQTTError.self) { try keeper.show(to: Self.endpoint) }
    }

    @Test func `without a preparation has the configured headers`() throws {
        var keeper = keeper(nil)
        let proof = try keeper.show(to: Self.endpoint)
        #expect(proof.request?.headers.map(\.name) == ["X-Tenant"] && !keeper.hasProvider)
    }

    @Test func `that was refused is new if the request is, whatever the credentials`() async throws {
        let preparations = Preparations()
        for (provider, isRenewed) in [
            (nil, true), (nil, false), (MQTTStaticCredentials(username: "u", password: "p"), true),
            (MQTTStaticCredentials(username: "u", password: "p"), false),
        ] as [(MQTTStaticCredentials?, Bool)] {
            var keeper = keeper(
                provider: provider,
                .closure { request, _, _ in request.query = MQTTSecret("n=\(isRenewed ? preparations.next() : 0)") })
            _ = try await ask(&keeper).get()
            _ = try keeper.show(to: Self.endpoint)
            keeper.refusedRequest()
            let arrival = try await ask(&keeper, .rejected).get()
            #expect(arrival.isUnchanged == !isRenewed)
        }
    }

    @Test func `fails like a provider`() async {
        struct Failure: Error { let secret = "geheim" }
        func failure(
            _ preparation: MQTTWebSocketPreparation, timeout: Duration = .seconds(30)
        ) async -> MQTTError? {
            var keeper = keeper(preparation, timeout: timeout)
            guard case .failure(let error) = await ask(&keeper) else { return nil }
            #expect(error.code == .credentials && error.phase == .credentials && !"\(error)".contains("geheim"))
            return error
        }
        #expect(await failure(.closure { _, _, _ in throw MQTTCredentialError.permanent("gone") })?.isPermanent == true)
        let later = MQTTCredentialError.transient("busy", retryAfter: .seconds(9))
        #expect(await failure(.closure { _, _, _ in throw later })?.retryAfter == .seconds(9))
        #expect(await failure(.closure { _, _, _ in throw Failure() })?.message.contains("Failure") == true)
        #expect(await failure(.bearer())?.message.contains("bearer") == true)
        #expect(
            await failure(.closure { request, _, _ in request.query = "geheim #" })?.message.contains("cannot be sent")
                == true)
        let slow = await failure(
            .closure { _, _, _ in try await Task.sleep(for: .seconds(600)) }, timeout: .milliseconds(50))
        #expect(slow?.message.contains("took longer") == true)
    }
}
