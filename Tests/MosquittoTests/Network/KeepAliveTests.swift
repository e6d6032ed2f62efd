// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A keep-alive` {
    /// A connection with a keep-alive, its checks and a clock.
    private struct Watch {
        var keepAlive: KeepAlive
        var now = ContinuousClock.now
        var written = 0
        var delivered = 0
        var isReading = true

        init(seconds: Int) throws { keepAlive = try #require(KeepAlive(seconds: seconds, now: now)) }

        /// Lets this much time pass and checks; writes a PINGREQ that is due.
        mutating func look(after time: Duration? = nil) -> KeepAlive.Verdict {
            now += time ?? keepAlive.interval
            let verdict = keepAlive.look(now: now, delivered: delivered, isReading: isReading)
            if verdict == .ping {
                written += 2
                keepAlive.pinged(end: written, now: now)
            }
            return verdict
        }

        mutating func looks(_ count: Int) -> [KeepAlive.Verdict] { (0..<count).map { _ in look() } }
    }

    @Test(arguments: [(5, 1), (60, 12), (65_535, 13_107)])
    func `is looked at five times`(seconds: Int, interval: Int) throws {
        #expect(try Watch(seconds: seconds).keepAlive.interval == .seconds(interval))
    }

    @Test func `of no seconds is none`() { #expect(KeepAlive(seconds: 0, now: .now) == nil) }

    @Test(arguments: [1, 5, 60])
    func `sends PINGREQ before it has passed`(seconds: Int) throws {
        var watch = try Watch(seconds: seconds)
        let count = seconds == 1 ? 0 : 3
        #expect(watch.looks(count) == Array(repeating: .fine, count: count))
        #expect(watch.look() == .ping)
    }

    @Test func `takes whatever comes for a sign of life`() throws {
        var watch = try Watch(seconds: 60)
        for _ in 0..<10 {
            #expect(watch.looks(4) == [.fine, .fine, .fine, .ping])
            watch.delivered = watch.written
            watch.keepAlive.received(watch.now)
        }
    }

    @Test func `is over when PINGREQ has no answer for as long`() throws {
        var watch = try Watch(seconds: 60)
        #expect(watch.looks(4) == [.fine, .fine, .fine, .ping])
        watch.delivered = watch.written
        // PINGREQ has been sent by the first check.
        #expect(watch.looks(6) == [.fine, .fine, .fine, .fine, .fine, .lost])
    }

    @Test("waits while the bytes in front of PINGREQ move (core 8)")
    func movingBytes() throws {
        var watch = try Watch(seconds: 5)
        watch.written = 8_000_000
        #expect(watch.looks(4) == [.fine, .fine, .fine, .ping])
        for _ in 0..<15 {
            watch.delivered += 500_000
            #expect(watch.look() == .fine)
        }
        #expect(watch.delivered < watch.written)
        #expect(watch.looks(5) == [.fine, .fine, .fine, .fine, .lost])
    }

    @Test("is over when the bytes in front of PINGREQ stand still for as long (core 8)")
    func stalledBytes() throws {
        var watch = try Watch(seconds: 5)
        watch.written = 8_000_000
        watch.delivered = 2_000_000
        #expect(watch.looks(9) == [.fine, .fine, .fine, .ping, .fine, .fine, .fine, .fine, .lost])
    }

    @Test("is not prolonged by what is written after PINGREQ (core 8)")
    func laterBytes() throws {
        var watch = try Watch(seconds: 5)
        #expect(watch.looks(4) == [.fine, .fine, .fine, .ping])
        var verdicts: [KeepAlive.Verdict] = []
        for _ in 0..<6 {
            watch.written += 100
            watch.delivered = watch.written
            watch.keepAlive.sent(watch.now)
            verdicts.append(watch.look())
        }
        #expect(verdicts == [.fine, .fine, .fine, .fine, .fine, .lost])
    }

    @Test func `goes on for the broker's sake while nothing is read, and starts afresh then`() throws {
        var watch = try Watch(seconds: 5)
        watch.isReading = false
        let verdicts = watch.looks(40)
        #expect(verdicts.count { $0 == .ping } == 10)
        #expect(!verdicts.contains(.lost))
        watch.isReading = true
        watch.delivered = watch.written
        #expect(!watch.looks(4).contains(.lost))
    }

    @Test("of a machine that was suspended is checked at the first look, with little patience (core 18)")
    func suspension() throws {
        var watch = try Watch(seconds: 60)
        #expect(watch.look() == .fine)
        #expect(watch.look(after: .seconds(3_600)) == .ping)
        watch.delivered = watch.written
        #expect(watch.look(after: .seconds(1)) == .fine)
        #expect(watch.look(after: .seconds(11)) == .lost)
    }

    @Test(
        "of a machine that was suspended over a PINGREQ is over at the first look, unless the answer is there (core 18)"
    )
    func suspensionAfterPing() throws {
        var watch = try Watch(seconds: 60)
        #expect(watch.looks(4) == [.fine, .fine, .fine, .ping])
        watch.delivered = watch.written
        #expect(watch.look() == .fine)
        var answered = watch
        #expect(watch.look(after: .seconds(3_600)) == .lost)
        answered.now += .seconds(3_600)
        answered.keepAlive.received(answered.now)
        #expect(answered.look(after: .zero) != .lost)
    }
}
