// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("Failures of a proxy", .turn(.units))
struct ProxyFailureTests {
    typealias Decision = MQTTRetryPolicy.Decision

    private func error(_ status: Int?) -> MQTTError {
        var error = MQTTError(.proxy, "refused", phase: .connect)
        error.httpStatus = status
        return error
    }

    private func decision(_ status: Int?, isInitial: Bool = false, hasAuthorization: Bool = false) -> Decision {
        .standard(
            for: MQTTFailure(
                error: error(status), attempt: 1, isInitial: isInitial, hasProxyAuthorization: hasAuthorization))
    }

    /// The decisions before and after the first connection.
    @Test(
        arguments: [
            (407, Decision.stop, Decision.retry(.slow)), (400, .stop, .retry(.slow)), (404, .stop, .retry(.slow)),
            (405, .stop, .retry(.slow)), (501, .stop, .retry(.slow)), (403, .retry(.slow), .retry(.slow)),
            (401, .stop, .retry(.slow)), (418, .retry(.slow), .retry(.slow)),
            (302, .retry(.slow), .retry(.slow)), (429, .retry(.rateLimited), .retry(.rateLimited)),
            (500, .retry(.standard), .retry(.standard)), (502, .retry(.standard), .retry(.standard)),
            (503, .retry(.standard), .retry(.standard)), (504, .retry(.standard), .retry(.standard)),
            (599, .retry(.standard), .retry(.standard)), (999, .retry(.standard), .retry(.standard)),
            (nil, .retry(.standard), .retry(.standard)),
        ] as [(Int?, Decision, Decision)])
    func `each status has a decision`(status: Int?, first: Decision, later: Decision) {
        #expect(decision(status, isInitial: true) == first)
        #expect(decision(status) == later)
    }

    @Test func `the TLS of a proxy that fails is waited for, whatever else there is`() {
        var failure = MQTTTLSFailure(.verification)
        failure.isProxy = true
        let error = failure.error(phase: .connect)
        #expect(error.code == .proxy && error.phase == .connect && error.tls?.isProxy == true)
        for isInitial in [true, false] {
            let decision = Decision.standard(
                for: MQTTFailure(error: error, attempt: 1, isInitial: isInitial, hasProxyAuthorization: true))
            #expect(decision == .retry(.slow))
        }
    }

    @Test func `the words for a proxy's TLS do not name the broker`() {
        let kinds: [MQTTTLSFailure.Kind] = [
            .verification, .unauthenticated, .alert, .clientCertificate, .notTLS, .tlsRequired, .protocolError,
        ]
        for kind in kinds {
            for alert in [nil, MQTTTLSFailure.Alert(received: true, code: 48, name: "unknown_ca")] {
                var failure = MQTTTLSFailure(kind, alert: alert)
                failure.isProxy = true
                let text = failure.description + failure.remedy
                #expect(!text.contains("broker"), "\(text)")
                #expect(kind == .tlsRequired || failure.error(phase: .connect).code == .proxy)
            }
        }
    }

    @Test func `a 407 has the authorization asked anew, before and after the first connection`() {
        for isInitial in [true, false] {
            for status in [407, 401] {
                #expect(decision(status, isInitial: isInitial, hasAuthorization: true) == .retryWithFreshCredentials)
            }
        }
        #expect(decision(403, hasAuthorization: true) == .retry(.slow))
    }

    @Test func `a fresh authorization is asked for once, and leaves that of the broker's credentials alone`() {
        var configuration = MQTTClientConfiguration(host: "broker")
        configuration.connection.proxy = .http(host: "p", port: 1) { _ in "x" }
        configuration.credentials = .static(username: "u", password: "p")
        configuration.retry.seed = 1
        var decider = RetryDecider(SessionStateMachine.Configuration(configuration))
        let first = decider.attemptFailed(error(407), attempt: 1, now: .now)
        #expect(first.decision == .retryWithFreshCredentials && first.delay == .zero)
        let second = decider.attemptFailed(error(407), attempt: 2, now: .now)
        #expect(second.decision == .retry(.authentication))
        #expect(second.delay.map { $0 >= configuration.retry.minimumAuthenticationDelay } == true)
        let refused = decider.attemptFailed(.refusal(.v5(.notAuthorized)), attempt: 3, now: .now)
        #expect(refused.decision == .retryWithFreshCredentials && refused.delay == .zero)
    }

    @Test func `the broker's credentials count as refused by the broker only`() throws {
        var configuration = MQTTClientConfiguration(host: "broker")
        configuration.connection.proxy = .http(host: "p", port: 1) { _ in "x" }
        configuration.credentials = .static(username: "u", password: "p")
        var machine = SessionStateMachine(SessionStateMachine.Configuration(configuration))
        _ = machine.start(now: .now)
        _ = machine.credentialsArrived(unchanged: false, now: .now)
        #expect(machine.dialContext.purpose == .connect)
        _ = machine.entered(.connect)
        _ = machine.attemptFailed(error(407), now: .now)
        #expect(machine.purpose == .connect)
        _ = machine.mayDial(after: .zero)
        _ = machine.credentialsArrived(unchanged: false, now: .now)
        #expect(machine.dialContext.purpose == .rejected)
        #expect(machine.dialContext.lastFailure?.httpStatus == 407)
        // The issuer is away once: what the proxy has refused stays refused, until the proxy opens a tunnel.
        _ = machine.attemptFailed(MQTTError(.credentials, "the issuer is away"), now: .now)
        _ = machine.mayDial(after: .zero)
        _ = machine.credentialsArrived(unchanged: false, now: .now)
        #expect(machine.dialContext.purpose == .rejected)
        _ = machine.entered(.connect)
        _ = machine.entered(.upgrade)
        // A 407 of the server behind the tunnel.
        _ = machine.attemptFailed(error(407), now: .now)
        _ = machine.mayDial(after: .zero)
        _ = machine.credentialsArrived(unchanged: false, now: .now)
        #expect(machine.dialContext.purpose == .connect)
    }

    @Test func `the phase has time for the authorization`() {
        var configuration = MQTTClientConfiguration(host: "broker")
        func limit() -> Duration? {
            var machine = SessionStateMachine(SessionStateMachine.Configuration(configuration))
            for case .setTimer(.phase, let limit) in machine.start(now: .now) { return limit }
            return nil
        }
        #expect(limit() == .seconds(10))
        configuration.connection.proxy = .http(host: "p", port: 1) { _ in "x" }
        configuration.timeouts.credentials = .seconds(3)
        #expect(limit() == .seconds(13))
        configuration.timeouts.credentials = .seconds(Int64.max)
        configuration.timeouts.resolve = .seconds(Int64.max)
        #expect(limit() != nil)
    }
}
