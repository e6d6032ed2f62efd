// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Refused credentials` {
    @Test func `a refusal is answered with fresh credentials at once, once`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        _ = trace.entered(.connack)
        #expect(
            trace.failed(.reason(.notAuthorized)) == [
                "tear down", "[attempt 1 failed in connack: notAuthorized, retry with fresh credentials]",
                "[attempt 2, initial]", "ask the provider (rejected)",
            ])
        #expect(trace.credentials() == ["attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial"])
        _ = trace.entered(.connack)
        #expect(
            trace.failed(.reason(.notAuthorized)) == [
                "tear down", "[attempt 2 failed in connack: notAuthorized, retry authentication]",
                "retry timer 5.0 seconds",
            ])
        #expect(trace.fire(.retry).last == "ask the provider (rejected)")
    }

    @Test(arguments: [MQTTReasonCode.badUserNameOrPassword, .notAuthorized])
    func `both refusals of credentials count`(code: MQTTReasonCode) {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        #expect(trace.failed(.reason(code)).last == "ask the provider (rejected)")
    }

    @Test func `without a provider a refusal waits in the authentication tier`() {
        var trace = MachineTrace()
        _ = trace.start()
        #expect(
            trace.failed(.reason(.notAuthorized)) == [
                "tear down", "[attempt 1 failed in resolve: notAuthorized, retry authentication]",
                "retry timer 5.0 seconds",
            ])
    }

    @Test func `a provider that gives the refused credentials again is not dialled with`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        #expect(
            trace.credentials(unchanged: true) == [
                "tear down", "[attempt 2 failed in credentials: credentials, retry authentication]",
                "retry timer 5.0 seconds",
            ])
    }

    @Test func `says what to do when what is refused never changes (newcomer D6)`() {
        for (isFixed, text) in [(true, "the user name or password is wrong at the broker"), (false, "gave again what")]
        {
            var trace = MachineTrace(hasProvider: true) { $0.hasFixedCredentials = isFixed }
            _ = trace.start()
            _ = trace.credentials()
            trace.failed(.reason(.notAuthorized))
            _ = trace.credentials(unchanged: true)
            #expect(
                trace.machine.lastFailure?.message.hasPrefix(isFixed ? text : "the credential provider \(text)") == true
            )
        }
    }

    /// Without a request and without an attempt, no event is emitted, and no attempt number is used.
    @Test func `a provider that is left alone postpones the attempt (core build 6)`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        trace.postponement = .seconds(40)
        #expect(trace.fire(.retry) == ["retry timer 40.0 seconds"])
        trace.postponement = .seconds(3)
        #expect(trace.reconnectNow() == ["retry timer 3.0 seconds"])
        #expect(trace.fire(.retry) == ["[attempt 3, initial]", "ask the provider (rejected)"])
    }

    @Test func `the delay after a failure is no shorter than the provider asks for (core build 6)`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.failed(.credentials("429", retryAfter: .seconds(77)))
        #expect(trace.retryDelay == .seconds(77))
        trace.fire(.retry)
        _ = trace.failed(.credentials("429", retryAfter: .seconds(Int64.max)))
        #expect(trace.retryDelay == .longestWait)
    }

    // A broker whose authentication backend is down refuses good credentials. A static password must survive that.
    @Test func `after the delay the same credentials are tried again`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        _ = trace.credentials(unchanged: true)
        #expect(trace.fire(.retry).last == "ask the provider (rejected)")
        #expect(trace.credentials(unchanged: true).last == "dial")
        _ = trace.entered(.connack)
        #expect(trace.accepted() == ["[connected at attempt 3]", "establish"])
    }

    @Test func `the provider is told of the refusal until it has been dialled again`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        _ = trace.credentialsFailed()
        #expect(trace.fire(.retry).last == "ask the provider (rejected)")
        _ = trace.credentials()
        trace.failed(.refusedConnection)
        #expect(trace.fire(.retry).last == "ask the provider (connect)")
    }

    @Test func `the provider is told what failed last, and not after a connection`() throws {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        #expect(try #require(trace.asked).lastFailure?.code == .connectionRefused)
        #expect(try #require(trace.asked).number == 2)
        #expect(try #require(trace.asked).isInitial)
        trace.connectAgain()
        _ = trace.refresh()
        #expect(try #require(trace.asked).lastFailure == nil)
        #expect(try #require(trace.asked).isInitial == false)
    }

    @Test func `a provider that fails means no dial`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        #expect(
            trace.credentialsFailed() == [
                "tear down", "[attempt 1 failed in credentials: credentials, retry authentication]",
                "retry timer 5.0 seconds",
            ])
    }

    @Test func `a lost connection is not a refusal, and the provider is asked again`() {
        var trace = MachineTrace.connected(hasProvider: true)
        #expect(trace.lost().dropFirst().first == "[disconnected: closed, retry standard]")
        #expect(trace.fire(.retry).last == "ask the provider (connect)")
    }

    @Test func `a kick for an expired token fetches another at once`() {
        var trace = MachineTrace.connected(hasProvider: true)
        trace.advance(by: .seconds(3_600))
        #expect(
            trace.lost(.reason(.notAuthorized)) == [
                "tear down", "[disconnected: notAuthorized, retry with fresh credentials]", "[attempt 1]",
                "ask the provider (rejected)",
            ])
    }

    @Test func `a broker that accepts and kicks at once is not hammered with fresh credentials`() {
        var trace = MachineTrace.connected(hasProvider: true)
        #expect(trace.lost(.reason(.notAuthorized)).last == "ask the provider (rejected)")
        for _ in 0..<5 {
            trace.connectAgain()
            trace.advance(by: .seconds(1))
            #expect(
                trace.lost(.reason(.notAuthorized)) == [
                    "tear down", "[disconnected: notAuthorized, retry authentication]", "retry timer 5.0 seconds",
                ])
            trace.fire(.retry)
        }
    }

    @Test func `a connection that lasted allows fresh credentials at once again`() {
        var trace = MachineTrace.connected(hasProvider: true)
        trace.lost(.reason(.notAuthorized))
        trace.connectAgain()
        trace.advance(by: .seconds(5))
        #expect(trace.lost(.reason(.notAuthorized)).last == "ask the provider (rejected)")
    }

    @Test func `a closure can end the client after a number of refusals`() {
        var trace = MachineTrace(hasProvider: true) {
            $0.retry.decide = { $0.consecutiveAuthenticationFailures >= 2 ? .stop : .standard(for: $0) }
        }
        _ = trace.start()
        _ = trace.credentials()
        trace.failed(.reason(.notAuthorized))
        _ = trace.credentials()
        #expect(trace.failed(.reason(.notAuthorized)).last == "finish: notAuthorized")
    }
}

extension MachineTrace {
    /// The attempt for which the last event requested credentials.
    fileprivate var asked: MQTTConnectAttempt? {
        for case .fetchCredentials(let attempt) in actions { return attempt }
        return nil
    }
}
