// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The log of failures` {
    private let start = ContinuousClock.now

    private func error(_ code: MQTTError.Code = .connectionRefused, at endpoint: String? = "a:1") -> MQTTError {
        var error = MQTTError(code, "failed", phase: .connect)
        error.endpoint = endpoint
        return error
    }

    /// Returns the verdicts on a failure that repeats every minute.
    private func verdicts(_ digest: inout FailureDigest, minutes: Range<Int>) -> [FailureDigest.Verdict] {
        minutes.map { digest.verdict(on: error(), now: start + .seconds(60 * $0)) }
    }

    @Test func `tells a failure once, and then holds it`() {
        var digest = FailureDigest()
        #expect(verdicts(&digest, minutes: 0..<4) == [.tell, .hold, .hold, .hold])
    }

    @Test func `expects that a broker is away after the loss of its connection`() {
        var digest = FailureDigest()
        digest.disconnected(now: start)
        for code in [MQTTError.Code.connectionRefused, .networkUnreachable, .timeout, .closed] {
            #expect(digest.verdict(on: error(code), now: start) == .expected)
            #expect(digest.verdict(on: error(code), now: start) == .hold)
        }
        var unavailable = error(.refused)
        unavailable.reasonCode = .serverUnavailable
        for news in [error(.dns), error(.tlsVerification), error(.notAuthorized), error(.credentials), unavailable] {
            #expect(digest.verdict(on: news, now: start) == .tell)
        }
    }

    @Test func `sums up what it held every ten minutes`() {
        var digest = FailureDigest()
        let verdicts = verdicts(&digest, minutes: 0..<40)
        let summary = FailureDigest.Verdict.summary(count: 10, over: .seconds(600))
        for (minute, verdict) in verdicts.enumerated().dropFirst(1) {
            #expect(verdict == ([10, 20, 30].contains(minute) ? summary : .hold))
        }
    }

    @Test func `sums up an outage at its end`() {
        var digest = FailureDigest()
        #expect(digest.connected(now: start) == nil)
        digest.disconnected(now: start)
        _ = verdicts(&digest, minutes: 1..<8)
        let outage = digest.connected(now: start + .seconds(500))
        #expect(outage == FailureDigest.Outage(failures: 7, duration: .seconds(500)))
        #expect(digest.connected(now: start + .seconds(900)) == nil)
    }

    @Test func `tells the true time of a summary that comes late`() {
        var digest = FailureDigest()
        _ = verdicts(&digest, minutes: 0..<5)
        let late = digest.verdict(on: error(), now: start + .seconds(7_320))
        #expect(late == .summary(count: 5, over: .seconds(7_320)))
        #expect(digest.verdict(on: error(), now: start + .seconds(7_380)) == .hold)
    }

    @Test func `tells another kind or another endpoint at once, and goes on with the one before`() {
        var digest = FailureDigest()
        _ = verdicts(&digest, minutes: 0..<5)
        var other = error()
        other.phase = .tlsHandshake
        var refused = error(.refused)
        refused.reasonCode = .serverBusy
        var banned = error(.refused)
        banned.reasonCode = .banned
        var tls = error(.tlsVerification)
        tls.tls = MQTTTLSFailure(.protocolError, reason: "one")
        var otherTLS = tls
        otherTLS.tls = MQTTTLSFailure(.protocolError, reason: "another")
        for news in [error(.dns), error(at: "b:1"), error(at: nil), other, refused, banned, tls, otherTLS] {
            #expect(digest.verdict(on: news, now: start + .seconds(300)) == .tell)
        }
        #expect(digest.verdict(on: error(), now: start + .seconds(301)) == .hold)
    }

    @Test func `does not take another text for another kind`() {
        var digest = FailureDigest()
        _ = verdicts(&digest, minutes: 0..<3)
        var reworded = error()
        reworded.message = "failed at 12:00"
        #expect(digest.verdict(on: reworded, now: start + .seconds(200)) == .hold)
    }

    @Test func `tells everything again after a connection`() {
        var digest = FailureDigest()
        _ = verdicts(&digest, minutes: 0..<5)
        _ = digest.connected(now: start + .seconds(300))
        #expect(verdicts(&digest, minutes: 5..<8) == [.tell, .hold, .hold])
    }

    @Test func `holds the failures of several endpoints in turn`() {
        var digest = FailureDigest()
        for round in 0..<8 {
            for endpoint in 0..<32 {
                let verdict = digest.verdict(on: error(at: "host\(endpoint)"), now: start + .seconds(round))
                #expect(verdict == (round == 0 ? .tell : .hold))
            }
        }
    }

    @Test func `keeps a bounded number of kinds, and tells again those that it has dropped`() {
        var digest = FailureDigest()
        for kind in 0..<10_000 {
            #expect(digest.verdict(on: error(at: "host\(kind)"), now: start) == .tell)
        }
        let counts = Mirror(reflecting: digest).descendant("counts").map { Mirror(reflecting: $0).children.count }
        #expect(counts.map { $0 <= 32 } == true)
        #expect(digest.verdict(on: error(at: "host0"), now: start) == .tell)
    }
}
