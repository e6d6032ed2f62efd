// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `The health of a client` {
    private let start = ContinuousClock.now
    private let date = Date(timeIntervalSince1970: 1_000_000)
    private let empty = OutgoingQueue.Backlog(messages: 0, bytes: 0, fill: 0, oldest: nil)

    private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    private func health(
        _ record: HealthRecord, _ state: MQTTConnectionState, at seconds: Int
    ) -> MQTTClientHealth {
        record.snapshot(state, empty, now: after(seconds), date: date)
    }

    @Test func `of one that was not started has no outage`() {
        let record = HealthRecord(now: start)
        let health = health(record, .idle, at: 7)
        #expect(health.outage == nil)
        #expect(!health.hasConnected)
        #expect(health.stateDuration == .seconds(7))
        #expect(health.since == Date(timeIntervalSince1970: 1_000_000 - 7))
        #expect(health.obstacle(to: .accepting) == .notStarted)
    }

    @Test func `counts failures and the outage from the start to the first connection`() {
        var record = HealthRecord(now: start)
        record.entered(.connecting(attempt: 1), now: after(1))
        record.attemptFailed(.refusedConnection, now: after(2))
        record.entered(.waiting(lastError: .refusedConnection), now: after(2))
        record.entered(.connecting(attempt: 2), now: after(4))
        record.attemptFailed(MQTTError(.dns, "no such host"), now: after(5))
        record.entered(.waiting(lastError: .refusedConnection), now: after(5))
        let waiting = health(record, .waiting(lastError: .refusedConnection), at: 9)
        #expect(waiting.outage == .seconds(8))
        #expect(waiting.stateDuration == .seconds(4))
        #expect(waiting.consecutiveFailures == 2)
        #expect(waiting.lastFailure?.error.code == .dns)
        #expect(waiting.lastFailure?.age == .seconds(4))
        #expect(waiting.obstacle(to: .connected) == .neverConnected(.seconds(8)))

        record.entered(.connected(.sample), now: after(10))
        let connected = health(record, .connected(.sample), at: 12)
        #expect(connected.outage == nil)
        #expect(connected.hasConnected)
        #expect(connected.consecutiveFailures == 0)
        // The failure stays known.
        #expect(connected.lastFailure?.age == .seconds(7))
        #expect(connected.isReady(.connected))
    }

    @Test func `counts an outage from the end of the connection, through all attempts`() {
        var record = HealthRecord(now: start)
        record.entered(.connected(.sample), now: after(1))
        record.connectionLost(MQTTError(.closed, "reset", phase: .connected), now: after(5))
        record.entered(.waiting(lastError: .refusedConnection), now: after(5))
        record.entered(.connecting(attempt: 1), now: after(6))
        let health = health(record, .connecting(attempt: 1), at: 8)
        #expect(health.outage == .seconds(3))
        #expect(health.stateDuration == .seconds(2))
        #expect(health.consecutiveFailures == 0)
        #expect(health.lastFailure?.error.code == .closed)
        #expect(health.obstacle(to: .connected) == .outage(.seconds(3)))
        #expect(health.isReady(.briefOutages))
    }

    @Test func `does not read the clock for a state that is not new`() {
        var record = HealthRecord(now: start)
        var readings = 0
        func now() -> ContinuousClock.Instant {
            readings += 1
            return after(readings)
        }
        for _ in 0..<3 { record.entered(.connected(.sample), now: now()) }
        #expect(readings == 1)
        #expect(health(record, .connected(.sample), at: 3).stateDuration == .seconds(2))
    }

    @Test func `has the expiry of the token, which may be over`() {
        var record = HealthRecord(now: start)
        record.entered(.connected(.sample), now: start)
        #expect(health(record, .connected(.sample), at: 1).tokenExpiresIn == nil)
        record.tokenExpiry = after(10)
        #expect(health(record, .connected(.sample), at: 1).tokenExpiresIn == .seconds(9))
        #expect(health(record, .connected(.sample), at: 12).obstacle(to: .connected) == .tokenExpired(.seconds(2)))
    }

    @Test func `of one that has stopped is never ready`() {
        var record = HealthRecord(now: start)
        record.entered(.connected(.sample), now: start)
        record.entered(.stopped(nil), now: after(1))
        let health = health(record, .stopped(nil), at: 2)
        #expect(health.outage == .seconds(1))
        #expect(health.obstacle(to: .accepting) == .stopped)
    }
}
