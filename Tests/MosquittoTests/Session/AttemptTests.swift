// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Attempts to connect` {
    @Test func `without a provider the first attempt dials at once`() {
        var trace = MachineTrace()
        #expect(
            trace.start() == ["[attempt 1, initial]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial"])
    }

    @Test func `with a provider it is asked first, and then dialled`() {
        var trace = MachineTrace(hasProvider: true)
        #expect(
            trace.start() == ["[attempt 1, initial]", "ask the provider (connect)"])
        #expect(trace.credentials() == ["attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial"])
    }

    @Test func `a second start does nothing`() {
        var trace = MachineTrace()
        _ = trace.start()
        #expect(trace.start() == [])
    }

    @Test func `an accepted attempt establishes the connection and leaves no timer running`() {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.entered(.connack)
        #expect(trace.accepted() == ["[connected at attempt 1]", "establish"])
        #expect(trace.timers.isEmpty)
    }

    @Test func `the first failure is retried like every later one`() {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.entered(.connect)
        #expect(
            trace.failed(.refusedConnection) == [
                "tear down", "[attempt 1 failed in connect: connectionRefused, retry standard]",
                "retry timer 1.0 seconds",
            ])
        #expect(
            trace.fire(.retry) == [
                "[attempt 2, initial]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
    }

    @Test func `the attempt's number starts anew after a connection`() {
        var trace = MachineTrace()
        _ = trace.start()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        #expect(trace.accepted() == ["[connected at attempt 2]", "establish"])
        #expect(
            trace.lost() == ["tear down", "[disconnected: closed, retry standard]", "retry timer \(trace.retryDelay!)"])
        #expect(trace.fire(.retry).first == "[attempt 1]")
    }

    @Test(arguments: [
        (MQTTError.Phase.resolve, "resolve", Duration.seconds(2)), (.connect, "connect", .seconds(3)),
        (.tlsHandshake, "tlsHandshake", .seconds(4)), (.connack, "connack", .seconds(5)),
    ])
    func `each phase has its deadline`(phase: MQTTError.Phase, name: String, limit: Duration) {
        var trace = MachineTrace {
            $0.timeouts.resolve = .seconds(2)
            $0.timeouts.connect = .seconds(3)
            $0.timeouts.tlsHandshake = .seconds(4)
            $0.timeouts.connack = .seconds(5)
        }
        _ = trace.start()
        #expect(trace.entered(phase) == ["phase timer \(limit)"])
        #expect(trace.fire(.phase).dropFirst().first == "[attempt 1 failed in \(name): timeout, retry standard]")
    }

    @Test func `the whole attempt has a deadline`() {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.entered(.tlsHandshake)
        #expect(trace.fire(.attempt).dropFirst().first == "[attempt 1 failed in tlsHandshake: timeout, retry standard]")
        #expect(Array(trace.timers.keys) == [.retry])
    }

    @Test func `a decision to stop ends the client with the error`() {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.entered(.connack)
        #expect(
            trace.failed(.reason(.unsupportedProtocolVersion)) == [
                "tear down", "[attempt 1 failed in connack: refused, stop]", "tear down", "[stopped: refused]",
                "finish: refused",
            ])
        #expect(trace.timers.isEmpty)
    }

    @Test func `the session taken over by another client is not taken back`() {
        var trace = MachineTrace.connected()
        #expect(
            trace.lost(.reason(.sessionTakenOver)).suffix(3) == ["tear down", "[stopped: refused]", "finish: refused"])
    }

    @Test func `a limit of attempts ends the client at the last one`() {
        var trace = MachineTrace { $0.retry.limit = .attempts(2) }
        _ = trace.start()
        #expect(
            trace.failed(.refusedConnection).contains(
                "[attempt 1 failed in resolve: connectionRefused, retry standard]"))
        trace.fire(.retry)
        #expect(
            trace.failed(.refusedConnection).suffix(4) == [
                "[attempt 2 failed in resolve: connectionRefused, stop]", "tear down", "[stopped: connectionRefused]",
                "finish: connectionRefused",
            ])
    }

    @Test func `a limit of attempts counts from the last connection`() {
        var trace = MachineTrace { $0.retry.limit = .attempts(2) }
        _ = trace.start()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        _ = trace.accepted()
        #expect(trace.lost().dropFirst().first == "[disconnected: closed, retry standard]")
        trace.fire(.retry)
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 1 failed in resolve: connectionRefused, retry standard]")
    }

    @Test func `a limit of time ends the client at the first failure after it`() {
        var trace = MachineTrace { $0.retry.limit = .elapsed(.seconds(60)) }
        _ = trace.start()
        trace.advance(by: .seconds(59))
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 1 failed in resolve: connectionRefused, retry standard]")
        trace.fire(.retry)
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 2 failed in resolve: connectionRefused, stop]")
    }

    @Test func `a limit of time counts from the end of the last connection`() {
        var trace = MachineTrace.connected { $0.retry.limit = .elapsed(.seconds(60)) }
        trace.advance(by: .seconds(3_600))
        #expect(trace.lost().dropFirst().first == "[disconnected: closed, retry standard]")
        trace.fire(.retry)
        trace.advance(by: .seconds(58))
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 1 failed in resolve: connectionRefused, retry standard]")
        trace.advance(by: .seconds(1))
        trace.fire(.retry)
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 2 failed in resolve: connectionRefused, stop]")
    }

    @Test func `a closure decides instead of the table`() {
        var trace = MachineTrace {
            $0.retry.decide = { $0.error.code == .connectionRefused ? .stop : .retry(.slow) }
        }
        _ = trace.start()
        #expect(
            trace.failed(.reason(.unsupportedProtocolVersion)).dropFirst().first
                == "[attempt 1 failed in resolve: refused, retry slow]")
        trace.fire(.retry)
        #expect(
            trace.failed(.refusedConnection).dropFirst().first
                == "[attempt 2 failed in resolve: connectionRefused, stop]")
    }

    @Test func `the closure is told the attempt, whether it is initial, and the refusals in a row`() {
        final class Log: @unchecked Sendable { var lines: [String] = [] }
        let log = Log()
        var trace = MachineTrace {
            $0.retry.decide = {
                log.lines.append("\($0.attempt) \($0.isInitial) \($0.consecutiveAuthenticationFailures)")
                return .retry(.standard)
            }
        }
        _ = trace.start()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        trace.failed(.reason(.notAuthorized))
        trace.fire(.retry)
        trace.failed(.reason(.badUserNameOrPassword))
        trace.fire(.retry)
        _ = trace.accepted()
        trace.advance(by: .seconds(60))
        trace.lost(.reason(.serverBusy))
        #expect(log.lines == ["1 true 0", "2 true 1", "3 true 2", "1 false 0"])
    }

    @Test func `a phase is entered only while an attempt is made`() {
        var trace = MachineTrace()
        #expect(trace.entered(.connect) == [])
        _ = trace.start()
        _ = trace.accepted()
        #expect(trace.entered(.connack) == [])
    }

    @Test func `what comes late for a state that is over is ignored`() {
        var trace = MachineTrace.connected()
        #expect(trace.failed(.refusedConnection) == [])
        #expect(trace.accepted() == [])
        #expect(trace.credentials() == [])
        #expect(trace.credentialsFailed() == [])
        #expect(trace.drained() == [])
        #expect(trace.closed() == [])
        trace.lost()
        #expect(trace.lost() == [])
        #expect(trace.failed(.refusedConnection) == [])
    }

    @Test(arguments: SessionStateMachine.Timer.allCases)
    func `a late timer does nothing to a connection`(timer: SessionStateMachine.Timer) {
        var trace = MachineTrace.connected()
        #expect(trace.fire(timer) == [])
    }

    @Test(arguments: SessionStateMachine.Timer.allCases.filter { $0 != .retry && $0 != .turn })
    func `a late timer does not end a wait`(timer: SessionStateMachine.Timer) {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentialsFailed()
        #expect(trace.fire(timer) == [])
    }
}
