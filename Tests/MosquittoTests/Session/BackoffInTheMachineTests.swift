// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Delays between attempts` {
    /// The delays after a number of failures.
    private func delays(_ count: Int, _ change: (inout MQTTRetryPolicy) -> Void = { _ in }) -> [Duration] {
        var trace = MachineTrace {
            $0.retry = MQTTRetryPolicy()
            $0.retry.seed = 7
            change(&$0.retry)
        }
        _ = trace.start()
        return (0..<count).compactMap { _ in
            trace.failed(.refusedConnection)
            defer { trace.fire(.retry) }
            return trace.retryDelay
        }
    }

    @Test func `each lies between the floor and a bound that doubles up to the cap`() {
        for seed in UInt64(0)..<50 {
            let delays = delays(12) { $0.seed = seed }
            for (failure, delay) in delays.enumerated() {
                #expect(delay >= .milliseconds(100))
                #expect(delay <= min(.seconds(1 << failure), .seconds(120)))
            }
        }
    }

    @Test func `the same seed gives the same delays`() {
        #expect(delays(10) { $0.seed = 42 } == delays(10) { $0.seed = 42 })
        #expect(delays(10) { $0.seed = 42 } != delays(10) { $0.seed = 43 })
    }

    @Test func `a connection shorter than resetAfter does not reset them`() {
        var trace = MachineTrace {
            $0.retry.maximumDelay = .seconds(64)
            $0.retry.resetAfter = .seconds(30)
        }
        _ = trace.start()
        for _ in 0..<6 {
            trace.failed(.refusedConnection)
            trace.fire(.retry)
        }
        _ = trace.accepted()
        trace.advance(by: .milliseconds(29_999))
        trace.lost()
        var bound = Duration.zero
        for _ in 0..<30 {
            bound = max(bound, trace.retryDelay ?? .zero)
            trace.fire(.retry)
            trace.failed(.refusedConnection)
        }
        #expect(bound > .seconds(2))
    }

    @Test func `a connection of resetAfter resets them`() {
        var trace = MachineTrace {
            $0.retry.maximumDelay = .seconds(64)
            $0.retry.resetAfter = .seconds(30)
        }
        _ = trace.start()
        for _ in 0..<6 {
            trace.failed(.refusedConnection)
            trace.fire(.retry)
        }
        _ = trace.accepted()
        trace.advance(by: .seconds(30))
        trace.lost()
        #expect(trace.retryDelay == .seconds(1))
    }

    @Test func `a broker that accepts and closes at once is not hammered`() {
        var trace = MachineTrace {
            $0.retry.maximumDelay = .seconds(64)
            $0.retry.minimumDelay = .milliseconds(100)
        }
        _ = trace.start()
        let before = trace.now
        for _ in 0..<40 {
            _ = trace.accepted()
            trace.lost()
            trace.fire(.retry)
        }
        #expect(trace.now - before > .seconds(400))
    }
}
