// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Turns of the budget` {
    private func trace(
        hasProvider: Bool = false, _ change: (inout SessionStateMachine.Configuration) -> Void = { _ in }
    ) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider, change)
        trace.turnDelay = .seconds(2)
        return trace
    }

    @Test func `the first attempt does not wait for one`() {
        var trace = trace()
        #expect(trace.start().last == "dial")
    }

    @Test func `an attempt after a failure waits for its turn after its delay`() {
        var trace = trace()
        _ = trace.start()
        #expect(trace.failed(.refusedConnection).last == "retry timer 1.0 seconds")
        #expect(trace.fire(.retry) == ["turn timer 2.0 seconds"])
        #expect(trace.timers == [.turn: .seconds(2)])
        #expect(
            trace.fire(.turn) == [
                "[attempt 2, initial]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
        #expect(trace.timers[.turn] == nil)
    }

    @Test func `an attempt after a loss waits for its turn`() {
        var trace = trace()
        _ = trace.start()
        trace.connectAgain()
        trace.lost()
        #expect(trace.fire(.retry) == ["turn timer 2.0 seconds"])
    }

    @Test func `fresh credentials wait for their turn, and the provider is asked then`() {
        var trace = trace(hasProvider: true)
        _ = trace.start()
        _ = trace.credentials()
        #expect(trace.failed(.reason(.notAuthorized)).last == "turn timer 2.0 seconds")
        #expect(trace.fire(.turn).last == "ask the provider (rejected)")
    }

    @Test func `a redirection waits for a turn of its target`() {
        var trace = trace { $0.redirects = .any }
        _ = trace.start()
        #expect(trace.failed(.redirection(to: "x:1")).last == "turn timer 2.0 seconds")
        for case .requestTurn(let endpoint) in trace.actions { #expect(endpoint.host == "x") }
        trace.fire(.turn)
        #expect(trace.dialed?.host == "x")
    }

    @Test func `a failover asks for a turn of the endpoint that it goes to`() {
        var trace = trace {
            $0.endpoints = [MQTTEndpoint(host: "a", port: 1), MQTTEndpoint(host: "b", port: 1)]
        }
        _ = trace.start()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        var asked: [String] = []
        for case .requestTurn(let endpoint) in trace.actions { asked.append(endpoint.host) }
        #expect(asked == ["b"])
    }

    @Test func `a rotation does not wait for one`() {
        var trace = trace(hasProvider: true)
        _ = trace.start()
        trace.connectAgain()
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        #expect(trace.closed().last == "dial")
    }

    @Test func `a shutdown ends the wait for one`() {
        var trace = trace()
        _ = trace.start()
        trace.failed(.refusedConnection)
        trace.fire(.retry)
        #expect(trace.shutdown() == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
        #expect(trace.fire(.turn) == [])
    }

    @Test func `a turn that nobody waits for is ignored`() {
        var trace = MachineTrace.connected()
        #expect(trace.machine.mayDial(after: .zero).isEmpty)
        trace = MachineTrace()
        #expect(trace.machine.mayDial(after: .zero).isEmpty)
        _ = trace.start()
        #expect(trace.machine.mayDial(after: .zero).isEmpty)
    }
}
