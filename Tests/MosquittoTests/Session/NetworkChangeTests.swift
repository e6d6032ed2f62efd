// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A change of the network` {
    /// A machine that waits for its next attempt after many failures.
    private func waiting(
        for error: MQTTError = .refusedConnection, in phase: MQTTError.Phase = .connect, hasProvider: Bool = false
    ) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider) {
            $0.retry.minimumDelay = .milliseconds(100)
            $0.retry.maximumDelay = .seconds(64)
        }
        _ = trace.start()
        for failure in 1...8 {
            if failure > 1 { trace.waitForAttempt() }
            if phase == .credentials { trace.failed(error) } else { _ = trace.fails(error, in: phase) }
        }
        return trace
    }

    @Test func `shortens the delay, with jitter, and says why`() throws {
        var trace = waiting()
        #expect(try #require(trace.retryDelay) > .seconds(5))
        #expect(trace.networkChanged(.address).first == "[delay ended: address]")
        let delay = try #require(trace.retryDelay)
        #expect(delay >= .milliseconds(100) && delay <= .seconds(1))
        #expect(trace.fire(.retry).first == "[attempt 9, initial]")
    }

    @Test func `does not shorten the same delay again by little, nor prolong it`() throws {
        var trace = waiting()
        _ = trace.networkChanged()
        var delays = [try #require(trace.retryDelay)]
        for _ in 0..<20 {
            let actions = trace.networkChanged()
            let delay = try #require(trace.retryDelay)
            #expect(actions.isEmpty == (delay == delays.last))
            delays.append(delay)
        }
        #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 >= $1 })
    }

    @Test func `during an attempt shortens the delay after it`() throws {
        var trace = waiting()
        trace.waitForAttempt()
        #expect(trace.networkChanged(.route) == [])
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(try #require(trace.retryDelay) <= .seconds(1))
        // The change counts for one delay.
        trace.waitForAttempt()
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(try #require(trace.retryDelay) > .seconds(5))
    }

    @Test func `lets the backoff go on from where it was`() throws {
        var trace = waiting()
        _ = trace.networkChanged()
        trace.fire(.retry)
        _ = trace.fails(.refusedConnection, in: .connect)
        #expect(try #require(trace.retryDelay) > .seconds(5))
    }

    @Test func `spreads clients with different seeds, and repeats with the same`() throws {
        func delay(_ seed: UInt64) throws -> Duration {
            var trace = MachineTrace {
                $0.retry.minimumDelay = .milliseconds(100)
                $0.retry.maximumDelay = .seconds(64)
                $0.retry.seed = seed
            }
            _ = trace.start()
            for _ in 1...8 {
                trace.waitForAttempt()
                _ = trace.fails(.refusedConnection, in: .connect)
            }
            _ = trace.networkChanged()
            return try #require(trace.retryDelay)
        }
        let delays = try (1...100).map { try delay($0) }
        #expect(Set(delays).count > 90)
        #expect(delays.count { $0 < .milliseconds(500) } > 20 && delays.count { $0 > .milliseconds(500) } > 20)
        #expect(try delay(7) == delay(7))
    }

    @Test(arguments: [
        MQTTError(.dns, "no such host"), MQTTError(.networkUnreachable, "no route"), MQTTError(.timeout, "no answer"),
        MQTTError(.tlsVerification, "a captive portal"), MQTTError(.proxy, "no proxy"),
    ])
    func `ends delays after failures on the way to the broker`(error: MQTTError) {
        var trace = waiting(for: error)
        #expect(!trace.networkChanged().isEmpty)
    }

    @Test func `ends the delay after a lost connection`() {
        var trace = MachineTrace.connected {
            $0.retry.minimumDelay = .milliseconds(100)
            $0.retry.baseDelay = .seconds(64)
            $0.retry.maximumDelay = .seconds(64)
            $0.retry.seed = 3
        }
        trace.lost(MQTTError(.keepAliveTimeout, "no answer"))
        var ended = 0
        for _ in 0..<10 where !trace.networkChanged().isEmpty { ended += 1 }
        #expect(ended > 0)
    }

    @Test func `ends the delay after an issuer of tokens that was not reached, and leaves one alone that said when`() {
        var trace = waiting(for: MQTTError(.credentials, "not reached"), in: .credentials, hasProvider: true)
        #expect(!trace.networkChanged().isEmpty)
        var busy = MQTTError(.credentials, "too many requests")
        busy.underlying = MQTTCredentialError.transient("too many requests", retryAfter: .seconds(600))
        trace = waiting(for: busy, in: .credentials, hasProvider: true)
        #expect(trace.networkChanged().isEmpty)
    }

    @Test func `does nothing after an answer of the broker, or of a server that is busy`() {
        for code in [MQTTReasonCode.serverBusy, .quotaExceeded, .connectionRateExceeded] {
            var trace = waiting(for: .reason(code), in: .connack)
            #expect(trace.networkChanged().isEmpty)
        }
        for status in [429, 503] {
            var error = MQTTError(.upgradeRefused, "busy")
            error.httpStatus = status
            var trace = waiting(for: error, in: .upgrade)
            #expect(trace.networkChanged().isEmpty)
        }
    }

    @Test func `does nothing but while the client waits`() {
        var trace = MachineTrace()
        #expect(trace.networkChanged().isEmpty)
        _ = trace.start()
        #expect(trace.networkChanged().isEmpty)
        trace.connectAgain()
        #expect(trace.networkChanged().isEmpty)
        _ = trace.shutdown()
        #expect(trace.networkChanged().isEmpty)
    }

    @Test func `keeps to the turn that the budget has assigned`() {
        var trace = waiting()
        trace.turnDelay = .seconds(3)
        trace.fire(.retry)
        #expect(trace.networkChanged().isEmpty)
        #expect(Set(trace.timers.keys) == [.turn])
    }
}
