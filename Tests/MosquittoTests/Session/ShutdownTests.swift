// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Shutdown` {
    /// A machine in each of its states.
    enum Situation: String, CaseIterable {
        case idle, fetching, dialing, connected, refreshing, drainingForRotation, rotating, waiting, drainingForShutdown
        case shuttingDown

        var trace: MachineTrace {
            var trace = MachineTrace(hasProvider: true)
            if self == .idle { return trace }
            _ = trace.start()
            if self == .fetching { return trace }
            _ = trace.credentials()
            if self == .dialing { return trace }
            if self == .waiting {
                trace.failed(.refusedConnection)
                return trace
            }
            _ = trace.accepted(refreshIn: .seconds(60))
            switch self {
            case .drainingForShutdown: _ = trace.shutdown()
            case .shuttingDown:
                _ = trace.shutdown()
                _ = trace.drained()
            case .refreshing: _ = trace.refresh()
            case .drainingForRotation, .rotating:
                _ = trace.refresh()
                _ = trace.rotationCredentials()
                if self == .rotating { _ = trace.drained() }
            default: break
            }
            return trace
        }
    }

    @Test(arguments: [Situation.idle, .waiting], [true, false])
    func `ends at once where there is nothing to end`(situation: Situation, isGraceful: Bool) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: isGraceful) == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test(
        "an attempt under way that nothing waits for ends at once, and has not failed (D10)",
        arguments: [
            Situation.fetching, .dialing,
        ], [true, false])
    func attempt(situation: Situation, isGraceful: Bool) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: isGraceful) == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test(
        "a queue that is not empty is worth the attempt under way (core 10)",
        arguments: [
            Situation.fetching, .dialing,
        ])
    func attemptWithQueue(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown(hasUnsent: true) == ["drain timer 5.0 seconds"])
        _ = trace.credentials()
        #expect(
            trace.accepted() == ["[connected at attempt 1]", "establish", "drain timer 5.0 seconds", "drain"])
        #expect(trace.drained() == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
    }

    @Test("the attempt that a shutdown waits for is the last one (core 10)")
    func lastAttempt() {
        var trace = Situation.dialing.trace
        _ = trace.shutdown(hasUnsent: true)
        #expect(
            trace.failed(.refusedConnection) == [
                "tear down", "[attempt 1 failed in resolve: connectionRefused, stop]", "tear down", "[stopped]",
                "finish",
            ])
    }

    @Test(
        "the attempt that a shutdown waits for has the time of a drain (core 10)",
        arguments: [
            Situation.fetching, .dialing,
        ])
    func boundedAttempt(situation: Situation) {
        var trace = situation.trace
        _ = trace.shutdown(hasUnsent: true)
        #expect(trace.fire(.drain) == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test("a shutdown in the gap of a rotation sends what the rotation has held back (core 10)")
    func gapOfRotation() {
        var trace = Situation.rotating.trace
        #expect(trace.shutdown(hasUnsent: true) == ["drain timer 5.0 seconds"])
        #expect(trace.closed().suffix(1) == ["dial"])
        #expect(trace.accepted().suffix(2) == ["drain timer 5.0 seconds", "drain"])
    }

    @Test("a drain goes on while bytes move (core 2)")
    func movingDrain() {
        var trace = Situation.drainingForShutdown.trace
        #expect(trace.fire(.drain, hasMoved: true) == ["drain timer 5.0 seconds"])
        #expect(trace.fire(.drain, hasMoved: true) == ["drain timer 5.0 seconds"])
        #expect(trace.fire(.drain) == ["close timer 5.0 seconds", "send DISCONNECT"])
    }

    @Test("the broker's time to close begins when DISCONNECT has been sent, and lasts while bytes move (core 2)")
    func movingClose() {
        var trace = Situation.shuttingDown.trace
        #expect(trace.fire(.close, hasMoved: true) == ["close timer 5.0 seconds"])
        #expect(trace.disconnectSent() == ["close timer 1.0 seconds"])
        #expect(trace.fire(.close, hasMoved: true) == ["close timer 1.0 seconds"])
        #expect(trace.fire(.close) == ["tear down", "[stopped]", "finish"])
    }

    @Test(arguments: [Situation.connected, .refreshing, .drainingForRotation])
    func `a graceful one drains, disconnects and waits for the broker to close`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.drained() == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test(arguments: [Situation.connected, .refreshing, .drainingForRotation, .drainingForShutdown])
    func `one that is not graceful disconnects at once and hardly waits`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: false) == ["close timer 0.05 seconds", "send DISCONNECT"])
        #expect(trace.fire(.close) == ["tear down", "[stopped]", "finish"])
    }

    @Test func `during a rotation's DISCONNECT it ends with that`() {
        var trace = Situation.rotating.trace
        #expect(trace.shutdown() == [])
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
    }

    @Test(arguments: [Situation.rotating, .shuttingDown])
    func `one that is not graceful shortens the wait for the broker to close`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: false) == ["close timer 0.05 seconds"])
    }

    @Test(arguments: [Situation.drainingForShutdown, .shuttingDown])
    func `a second graceful one changes nothing`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown() == [])
    }

    @Test(arguments: [Situation.drainingForShutdown, .shuttingDown])
    func `a connection lost meanwhile ends it without an error`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.lost() == ["tear down", "[stopped]", "finish"])
    }

    @Test func `publishes that are not acknowledged in time do not keep it`() {
        var trace = Situation.drainingForShutdown.trace
        #expect(trace.fire(.drain) == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.fire(.close) == ["tear down", "[stopped]", "finish"])
    }

    @Test func `the provider's answer to a rotation is not used any more`() {
        var trace = Situation.refreshing.trace
        _ = trace.shutdown()
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
    }

    @Test(arguments: Situation.allCases)
    func `nothing follows the end`(situation: Situation) {
        var trace = situation.trace
        _ = trace.shutdown(isGraceful: false)
        _ = trace.closed()
        #expect(trace.start() == [])
        #expect(trace.credentials() == [])
        #expect(trace.credentialsFailed() == [])
        #expect(trace.entered(.connect) == [])
        #expect(trace.accepted() == [])
        #expect(trace.failed(.refusedConnection) == [])
        #expect(trace.lost() == [])
        #expect(trace.refresh() == [])
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
        #expect(trace.drained() == [])
        #expect(trace.closed() == [])
        #expect(trace.shutdown() == [])
        for timer in SessionStateMachine.Timer.allCases { #expect(trace.fire(timer) == []) }
    }

    @Test func `an error before the start ends the client with it`() {
        var trace = MachineTrace()
        #expect(
            trace.machine.stop(MQTTError(.invalidConfiguration, "bad")).contains {
                if case .finish(let error?) = $0 { error.code == .invalidConfiguration } else { false }
            })
        #expect(trace.start() == [])
    }
}
