// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Reconnecting now` {
    /// A machine that waits for its next attempt after many failures.
    private func waiting(failures: Int = 8, hasProvider: Bool = false) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider) { $0.retry.maximumDelay = .seconds(64) }
        _ = trace.start()
        for failure in 1...failures {
            if failure > 1 { trace.fire(.retry) }
            _ = trace.fails(.refusedConnection, in: .connect)
        }
        return trace
    }

    @Test func `ends a wait at once`() {
        var trace = waiting()
        #expect(
            trace.reconnectNow() == [
                "[attempt 9, initial]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
        #expect(trace.timers[.retry] == nil)
    }

    @Test func `lets the delays start afresh`() {
        var trace = waiting()
        #expect(trace.retryDelay! > .seconds(1))
        _ = trace.reconnectNow()
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(trace.retryDelay == .seconds(1))
    }

    @Test func `during an attempt lets the delays start afresh, too`() {
        var trace = waiting()
        trace.fire(.retry)
        #expect(trace.reconnectNow() == [])
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(trace.retryDelay == .seconds(1))
    }

    @Test func `asks the provider first`() {
        var trace = waiting(failures: 1, hasProvider: true)
        #expect(trace.reconnectNow().last == "ask the provider (connect)")
    }

    @Test func `keeps to the budget`() {
        var trace = waiting()
        trace.turnDelay = .seconds(3)
        #expect(trace.reconnectNow() == ["turn timer 3.0 seconds"])
        #expect(Set(trace.timers.keys) == [.turn])
        #expect(trace.fire(.turn).first == "[attempt 9, initial]")
    }

    @Test func `keeps the turn that it has: asking for another one would delay all clients of the process`() {
        var trace = waiting()
        trace.turnDelay = .seconds(3)
        trace.fire(.retry)
        #expect(trace.reconnectNow() == [])
        #expect(trace.fire(.turn).first == "[attempt 9, initial]")
    }

    @Test func `does nothing before the start`() {
        var trace = MachineTrace()
        #expect(trace.reconnectNow() == [])
        #expect(trace.start().first == "[attempt 1, initial]")
    }

    @Test func `does nothing while the provider is asked`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        let timers = trace.timers
        #expect(trace.reconnectNow() == [])
        #expect(trace.timers == timers)
        #expect(trace.credentials().last == "dial")
    }

    @Test(arguments: [MQTTError.Phase.resolve, .connect, .tlsHandshake, .connack])
    func `does nothing to an attempt under way`(phase: MQTTError.Phase) {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.entered(phase)
        let timers = trace.timers
        #expect(trace.reconnectNow() == [])
        #expect(trace.timers == timers)
        #expect(trace.accepted() == ["[connected at attempt 1]", "establish"])
    }

    @Test func `does nothing to a connection`() {
        var trace = MachineTrace.connected(refreshIn: .seconds(60))
        #expect(trace.reconnectNow() == [])
        #expect(trace.timers == [.refresh: .seconds(60)])
    }

    @Test func `does nothing to a connection that is being ended`() {
        var trace = MachineTrace.connected()
        _ = trace.shutdown()
        #expect(trace.reconnectNow() == [])
        _ = trace.drained()
        #expect(trace.reconnectNow() == [])
        #expect(trace.closed().last == "finish")
        #expect(trace.reconnectNow() == [])
    }

    @Test func `does nothing to a rotation`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        #expect(trace.reconnectNow() == [])
        _ = trace.drained()
        #expect(trace.reconnectNow() == [])
        #expect(trace.closed().last == "dial")
    }

    @Test func `does nothing after the end`() {
        var trace = MachineTrace()
        _ = trace.start()
        _ = trace.fails(.refusal(.v5(.banned)))
        #expect(trace.reconnectNow() == [])
        #expect(trace.timers.isEmpty)
    }
}
