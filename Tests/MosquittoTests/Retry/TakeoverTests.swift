// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A session that another client takes over` {
    /// Several connections that close soon, and then another one.
    private func loseShortly(_ trace: inout MachineTrace, times: Int) {
        for _ in 0..<times {
            #expect(trace.loses(after: .seconds(29)) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `is suspected after five short connections in a row, told, and slowed down (D3)`() {
        var trace = MachineTrace.connected()
        loseShortly(&trace, times: 4)
        for _ in 0..<3 {
            #expect(trace.loses(after: .seconds(29)) == .retry(.slow))
            #expect(trace.lost?.error.code == .sessionTakenOver)
            #expect(trace.lost?.error.message.contains("client identifier") == true)
            #expect(trace.lost?.error.isRetryable == true)
            trace.reconnect()
        }
    }

    /// Each attempt of two clients that throw each other out succeeds: only the suspicion can count.
    @Test(arguments: [1, 3]) func `ends at a limit of attempts, if they are suspected (field case 4)`(limit: Int) {
        var trace = MachineTrace.connected { $0.retry.limit = .attempts(limit) }
        loseShortly(&trace, times: 4)
        for _ in 1..<limit {
            #expect(trace.loses(after: .seconds(1)) == .retry(.slow))
            trace.reconnect()
        }
        #expect(trace.loses(after: .seconds(1)) == .stop)
        #expect(trace.finished?.code == .sessionTakenOver)
    }

    @Test func `ends at a limit of time, counted from the first suspicion`() {
        let limit = Duration.seconds(1_000)
        var trace = MachineTrace.connected { $0.retry.limit = .elapsed(limit) }
        loseShortly(&trace, times: 4)
        #expect(trace.loses(after: .seconds(1)) == .retry(.slow))
        let start = trace.now
        trace.reconnect()
        while trace.loses(after: .seconds(1)) == .retry(.slow) {
            #expect(trace.now - start < limit)
            trace.reconnect()
        }
        #expect(trace.now - start >= limit)
        #expect(trace.finished?.code == .sessionTakenOver)
    }

    @Test(arguments: [MQTTRetryPolicy.Limit.attempts(1), .elapsed(.seconds(600))])
    func `does not reach a limit where an operation is suspected`(limit: MQTTRetryPolicy.Limit) {
        var trace = MachineTrace.connected { $0.retry.limit = limit }
        for _ in 0..<30 {
            #expect(trace.loses(after: .seconds(1), isOperationSuspected: true) != .stop)
            trace.reconnect()
        }
    }

    @Test func `does not reach a limit of time at an end that has another cause`() {
        var trace = MachineTrace.connected { $0.retry.limit = .elapsed(.seconds(1)) }
        loseShortly(&trace, times: 4)
        #expect(trace.loses(after: .seconds(1)) == .retry(.slow))
        trace.reconnect()
        #expect(trace.loses(after: .seconds(1), isOperationSuspected: true) != .stop)
        trace.reconnect()
        #expect(trace.loses(after: .seconds(1)) == .stop)
    }

    @Test func `counts towards a limit only in a row`() {
        var trace = MachineTrace.connected { $0.retry.limit = .attempts(2) }
        for _ in 0..<3 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(after: .seconds(1)) == .retry(.slow))
            trace.reconnect()
            #expect(trace.loses(after: .seconds(30)) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `is not suspected where an operation is`() {
        var trace = MachineTrace.connected()
        for _ in 0..<9 {
            #expect(trace.loses(after: .seconds(1), isOperationSuspected: true) == .retry(.standard))
            trace.reconnect()
        }
        // Such ends are no evidence about the others either.
        loseShortly(&trace, times: 2)
        #expect(trace.loses(isOperationSuspected: true) == .retry(.standard))
        trace.reconnect()
        loseShortly(&trace, times: 2)
        #expect(trace.loses() == .retry(.slow))
    }

    @Test func `is suspected where operations are time after time, and none is found guilty (D3)`() {
        var trace = MachineTrace.connected()
        for _ in 0..<14 {
            #expect(trace.loses(after: .seconds(1), isOperationSuspected: true) == .retry(.standard))
            trace.reconnect()
        }
        #expect(trace.loses(after: .seconds(1), isOperationSuspected: true) == .retry(.slow))
        #expect(trace.lost?.error.code == .sessionTakenOver)
    }

    @Test func `the code of MQTT 5.0 ends the client at once`() {
        var trace = MachineTrace.connected()
        #expect(trace.loses(.disconnect(.sessionTakenOver, reference: nil)) == .stop)
        #expect(trace.finished?.code == .sessionTakenOver)
    }

    @Test func `a failed attempt in between speaks against it`() {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            loseShortly(&trace, times: 3)
            #expect(trace.loses(after: .seconds(1)) == .retry(.standard))
            trace.waitForAttempt()
            #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `a connection that lasted speaks against it`() {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(after: .seconds(30)) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `a token that had expired speaks against it`() {
        var trace = MachineTrace.connected(hasProvider: true)
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(hasExpired: true) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test(arguments: [MQTTError.Code.keepAliveTimeout, .protocolViolation, .library])
    func `a loss that is no close speaks against it`(code: MQTTError.Code) {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(MQTTError(code, "lost")) != .stop)
            trace.reconnect()
        }
    }

    @Test func `a closure may see it otherwise`() {
        var trace = MachineTrace.connected {
            $0.retry.decide = { $0.error.code == .sessionTakenOver ? .stop : .standard(for: $0) }
        }
        loseShortly(&trace, times: 4)
        #expect(trace.loses() == .stop)
        #expect(trace.finished?.code == .sessionTakenOver)
    }
}
