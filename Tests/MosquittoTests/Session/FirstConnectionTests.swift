// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The first connection` {
    private func waiting(hasProvider: Bool = false, seconds: Int = 60) -> MachineTrace {
        MachineTrace(hasProvider: hasProvider) { $0.firstConnection = .waitUntilConnected(within: .seconds(seconds)) }
    }

    private func failingFast(
        hasProvider: Bool = false, _ change: (inout SessionStateMachine.Configuration) -> Void = { _ in }
    ) -> MachineTrace {
        MachineTrace(hasProvider: hasProvider) {
            $0.firstConnection = .failFast
            change(&$0)
        }
    }

    // MARK: In the background

    @Test func `in the background has no deadline`() {
        var trace = MachineTrace { $0.firstConnection = .background }
        _ = trace.start()
        for _ in 0..<50 {
            #expect(trace.timers[.firstConnection] == nil)
            #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
            trace.fire(.retry)
        }
    }

    // MARK: Awaited for a time

    @Test func `that is awaited has a deadline from the start`() {
        var trace = waiting()
        #expect(trace.start().first == "firstConnection timer 60.0 seconds")
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(trace.timers[.firstConnection] == .seconds(60))
    }

    @Test func `takes the deadline away`() {
        var trace = waiting()
        _ = trace.start()
        trace.connectAgain()
        #expect(trace.timers.isEmpty)
        trace.lost()
        #expect(trace.timers[.firstConnection] == nil)
    }

    @Test func `that is not there in time ends the client, with the last failure`() throws {
        var trace = waiting()
        _ = trace.start()
        _ = trace.fails(.refusedConnection, in: .connect)
        trace.fire(.retry)
        _ = trace.fails(MQTTError(.dns, "no such host"), in: .resolve)
        #expect(trace.fire(.firstConnection) == ["tear down", "[stopped: timeout]", "finish: timeout"])
        let error = try #require(trace.finished)
        #expect((error.underlying as? MQTTError)?.code == .dns)
        #expect(error.message.contains("60.0 seconds"))
        #expect(trace.timers.isEmpty)
    }

    @Test func `without any failure ends with none`() throws {
        var trace = waiting(hasProvider: true, seconds: 5)
        _ = trace.start()
        trace.fire(.firstConnection)
        let error = try #require(trace.finished)
        #expect(error.code == .timeout)
        #expect(error.underlying == nil)
    }

    @Test func `that is not there in time ends the question to the provider`() {
        var trace = waiting(hasProvider: true, seconds: 5)
        _ = trace.start()
        #expect(
            trace.fire(.firstConnection) == [
                "[attempt 1 failed in credentials: timeout, stop]", "tear down", "[stopped: timeout]",
                "finish: timeout",
            ])
        #expect(trace.finalEvents == 1)
        #expect(trace.credentials() == [])
    }

    @Test(arguments: [MQTTError.Phase.resolve, .connect, .tlsHandshake, .connack])
    func `that is not there in time ends the attempt under way`(phase: MQTTError.Phase) {
        var trace = waiting(seconds: 5)
        _ = trace.start()
        _ = trace.entered(phase)
        #expect(
            trace.fire(.firstConnection) == [
                "[attempt 1 failed in \(phase.rawValue): timeout, stop]", "tear down", "[stopped: timeout]",
                "finish: timeout",
            ])
        #expect(trace.failed(.refusedConnection) == [])
        #expect(trace.accepted() == [])
    }

    @Test func `that is not there in time ends the wait for a turn`() {
        var trace = waiting()
        trace.turnDelay = .seconds(100)
        _ = trace.start()
        _ = trace.fails(.refusedConnection, in: .connect)
        trace.fire(.retry)
        #expect(trace.fire(.firstConnection) == ["tear down", "[stopped: timeout]", "finish: timeout"])
        #expect(trace.timers.isEmpty)
    }

    @Test func `is awaited no longer than once`() {
        var trace = waiting()
        _ = trace.start()
        trace.connectAgain()
        trace.lost()
        #expect(trace.fire(.firstConnection) == [])
        trace.fire(.retry)
        #expect(trace.fire(.firstConnection) == [])
    }

    @Test func `that is awaited leaves nothing behind after a shutdown`() {
        var trace = waiting()
        _ = trace.start()
        _ = trace.shutdown()
        #expect(trace.timers.isEmpty)
        #expect(trace.fire(.firstConnection) == [])
    }

    @Test func `that is awaited still ends at what cannot heal`() {
        var trace = waiting()
        _ = trace.start()
        #expect(trace.fails(.refusal(.v5(.unsupportedProtocolVersion))) == .stop)
        #expect(trace.finished?.code == .refused)
        #expect(trace.timers.isEmpty)
    }

    // MARK: Failing fast

    @Test(arguments: [MQTTError.Code.dns, .connectionRefused, .timeout, .tlsVerification, .closed])
    func `that fails fast ends with its first failure`(code: MQTTError.Code) {
        var trace = failingFast()
        _ = trace.start()
        #expect(trace.timers[.firstConnection] == nil)
        #expect(trace.fails(MQTTError(code, "failed"), in: .connect) == .stop)
        #expect(trace.finished?.code == code)
        #expect(trace.finalEvents == 1)
    }

    @Test func `that fails fast ends with a refusal, and with a provider that fails`() {
        var trace = failingFast(hasProvider: true)
        _ = trace.start()
        #expect(trace.fails(.reason(.notAuthorized)) == .stop)
        trace = failingFast(hasProvider: true)
        _ = trace.start()
        #expect(trace.credentialsFailed().last == "finish: credentials")
    }

    @Test func `is the only one that fails fast`() {
        var trace = failingFast()
        _ = trace.start()
        trace.connectAgain()
        for _ in 0..<5 {
            #expect(trace.loses() == .retry(.standard))
            trace.waitForAttempt()
            #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test(arguments: [
        MQTTRetryPolicy.Decision.retry(.standard), .retry(.slow), .retryWithFreshCredentials, .redirect,
    ])
    func `fails fast whatever a closure decides`(decision: MQTTRetryPolicy.Decision) {
        var trace = failingFast(hasProvider: true) {
            $0.redirects = .any
            $0.retry.decide = { _ in decision }
        }
        _ = trace.start()
        #expect(trace.fails(.redirection(to: "elsewhere")) == .stop)
        #expect(trace.finished?.code == .refused)
    }
}
