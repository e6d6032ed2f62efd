// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Several endpoints in the machine` {
    private static let a = MQTTEndpoint(host: "a", port: 1)
    private static let b = MQTTEndpoint(host: "b", port: 1)

    private func start(
        _ endpoints: [MQTTEndpoint] = [a, b], _ policy: MQTTRedirectPolicy = .listed, hasProvider: Bool = false,
        _ change: (inout SessionStateMachine.Configuration) -> Void = { _ in }
    ) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider) {
            $0.endpoints = endpoints
            $0.redirects = policy
            change(&$0)
        }
        _ = trace.start()
        return trace
    }

    // MARK: Failover

    @Test func `an attempt that fails is followed by one at the next endpoint`() {
        var trace = start()
        for host in ["a", "b", "a", "b"] {
            #expect(trace.dialed?.host == host)
            _ = trace.fails(.refusedConnection, in: .connect)
            trace.waitForAttempt()
        }
    }

    @Test func `an event names the endpoint that failed, not the next one`() {
        var trace = start()
        _ = trace.fails(.refusedConnection, in: .connect)
        for case .emit(.attemptFailed(let failed)) in trace.actions { #expect(failed.endpoint == Self.a) }
        trace.reconnect()
        _ = trace.loses()
        for case .emit(.disconnected(let lost)) in trace.actions { #expect(lost.endpoint == Self.b) }
    }

    @Test func `a provider that fails does not cost an endpoint its turn`() {
        var trace = start(hasProvider: true)
        _ = trace.credentialsFailed()
        trace.fire(.retry)
        #expect(trace.askedFor == Self.a)
    }

    @Test func `a proxy's authorization that fails does not cost an endpoint its turn`() {
        var trace = start { $0.hasProxyAuthorization = true }
        _ = trace.fails(MQTTError(.credentials, "the issuer is down"), in: .resolve)
        for case .emit(.attemptFailed(let failed)) in trace.actions { #expect(failed.error.phase == .credentials) }
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test func `a refusal is answered with fresh credentials at the same endpoint`() {
        var trace = start(hasProvider: true)
        _ = trace.fails(.reason(.notAuthorized))
        #expect(trace.askedFor == Self.a)
        _ = trace.fails(.reason(.notAuthorized))
        trace.fire(.retry)
        #expect(trace.askedFor == Self.b)
    }

    @Test func `a broker that shuts down sends the client to the next one`() {
        var trace = start()
        trace.connectAgain()
        #expect(
            trace.loses(.disconnect(.serverShuttingDown, reference: nil), after: .seconds(3_600))
                == .retry(.standard))
        trace.fire(.retry)
        #expect(trace.dialed == Self.b)
    }

    @Test func `a connection that does not last is followed by one to the next endpoint`() {
        var trace = start()
        trace.connectAgain()
        _ = trace.loses(after: .seconds(29))
        trace.fire(.retry)
        #expect(trace.dialed == Self.b)
    }

    @Test func `a connection that lasted is followed by one to the preferred endpoint`() {
        var trace = start()
        _ = trace.fails(.refusedConnection, in: .connect)
        trace.reconnect()
        _ = trace.loses(after: .seconds(30))
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test func `the delays grow when every endpoint has failed`() {
        var trace = start {
            $0.retry.maximumDelay = .seconds(64)
            $0.retry.minimumDelay = .seconds(1)
        }
        for _ in 0..<2 {
            _ = trace.fails(.refusedConnection, in: .connect)
            #expect(trace.retryDelay == .seconds(1))
            trace.fire(.retry)
        }
    }

    // MARK: Redirections

    @Test(arguments: [MQTTReasonCode.useAnotherServer, .serverMoved])
    func `a redirection is followed at once, and the provider is asked for that endpoint`(code: MQTTReasonCode) {
        var trace = start(hasProvider: true)
        #expect(trace.fails(.redirection(code, to: "b:2")) == .redirect)
        let target = MQTTEndpoint(host: "b", port: 2)
        #expect(trace.redirectedTo == target)
        #expect(trace.askedFor == target)
        #expect(trace.timers[.retry] == nil)
        _ = trace.credentials()
        #expect(trace.dialed == target)
    }

    @Test(arguments: [MQTTReasonCode.useAnotherServer, .serverMoved])
    func `a redirection of an established connection is followed at once`(code: MQTTReasonCode) {
        var trace = start()
        trace.connectAgain()
        #expect(trace.loses(.redirection(code, to: "b:2"), after: .seconds(60)) == .redirect)
        #expect(trace.redirectedTo == MQTTEndpoint(host: "b", port: 2))
        #expect(trace.dialed == MQTTEndpoint(host: "b", port: 2))
    }

    @Test(
        arguments: [
            (.none, "b:1"), (.listed, "evil:1"), (.listed, nil), (.listed, "a:1"), (.any, "mqtt://b"),
        ] as [(MQTTRedirectPolicy, String?)])
    func `a redirection that may not be followed is a slow failure, and the next endpoint's turn`(
        policy: MQTTRedirectPolicy, reference: String?
    ) {
        var trace = start([Self.a, Self.b], policy)
        #expect(trace.fails(.redirection(to: reference)) == .retry(.slow))
        #expect(trace.redirectedTo == nil)
        #expect(trace.dialed == nil)
        trace.fire(.retry)
        #expect(trace.dialed == Self.b)
        trace.connectAgain()
        #expect(trace.loses(.redirection(to: policy == .none ? "a:1" : nil)) == .retry(.slow))
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test func `a redirection that may not be followed leads back to the only endpoint`() {
        var trace = start([Self.a], .none)
        #expect(trace.fails(.redirection(to: "b:1")) == .retry(.slow))
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test func `the reference is in the error when it is not followed`() {
        var trace = start([Self.a], .none)
        _ = trace.fails(.redirection(to: "b:1"))
        for case .emit(.attemptFailed(let failed)) in trace.actions {
            #expect(failed.error.serverReference == "b:1")
        }
    }

    @Test func `a target that fails leads back to the origin`() {
        var trace = start([Self.a], .any)
        _ = trace.fails(.redirection(to: "x:1"))
        #expect(trace.dialed?.host == "x")
        #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test func `brokers that name each other before CONNACK are visited once each`() {
        var trace = start()
        #expect(trace.fails(.redirection(to: "b:1")) == .redirect)
        #expect(trace.fails(.redirection(to: "a:1")) == .retry(.slow))
    }

    @Test func `the fourth redirection in a row is not followed`() {
        var trace = start([Self.a], .any)
        for host in ["w", "x", "y"] { #expect(trace.fails(.redirection(to: host)) == .redirect) }
        #expect(trace.fails(.redirection(to: "z")) == .retry(.slow))
        trace.fire(.retry)
        #expect(trace.dialed == Self.a)
    }

    @Test(arguments: [MQTTReasonCode.useAnotherServer, .serverMoved], [Duration.zero, .seconds(30)])
    func `brokers that accept and send the client in a circle do not have it at full speed`(
        code: MQTTReasonCode, resetAfter: Duration
    ) {
        var trace = start {
            $0.retry = .production
            $0.retry.seed = 1
            $0.retry.resetAfter = resetAfter
        }
        let before = trace.now
        var redirections = 0
        for _ in 0..<400 {
            trace.connectAgain()
            let other = trace.machine.endpoint == Self.a ? "b:1" : "a:1"
            if trace.loses(.redirection(code, to: other), after: .zero) == .redirect { redirections += 1 }
            trace.waitForAttempt()
        }
        #expect(redirections <= 3)
        #expect(trace.now - before > .seconds(400 * 10))
    }

    @Test func `a redirection after a connection that lasted is the first of a row`() {
        var trace = start()
        for host in ["b", "a", "b", "a", "b"] {
            trace.connectAgain()
            #expect(trace.loses(.redirection(to: host), after: .seconds(30)) == .redirect)
            #expect(trace.dialed?.host == host)
        }
    }

    @Test func `a closure may refuse a redirection`() {
        var trace = start { $0.retry.decide = { _ in .stop } }
        #expect(trace.fails(.redirection(to: "b:1")) == .stop)
    }

    @Test func `a closure cannot redirect where nobody points`() {
        var trace = start([Self.a], .any) { $0.retry.decide = { _ in .redirect } }
        #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.slow))
    }

    @Test func `a limit of attempts counts redirections`() {
        var trace = start([Self.a], .any) { $0.retry.limit = .attempts(2) }
        #expect(trace.fails(.redirection(to: "x")) == .redirect)
        #expect(trace.fails(.redirection(to: "y")) == .stop)
    }
}
