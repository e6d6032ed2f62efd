// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The answers to PINGREQ` {
    private let a = WaiterID(number: 1)
    private let b = WaiterID(number: 2)

    @Test func `belong to the requests in their order, those of the keep-alive included`() {
        var barriers = PingBarriers()
        barriers.pinged()
        barriers.pinged(for: a)
        barriers.pinged()
        barriers.pinged(for: b)
        #expect((0..<4).map { _ in barriers.answer() } == [[], [a], [], [b]])
    }

    @Test func `without a request count for none`() {
        var barriers = PingBarriers()
        #expect(barriers.answer() == [])
        barriers.pinged(for: a)
        #expect(barriers.answer() == [a])
        #expect(barriers.answer() == [])
    }

    @Test func `do not come after the end of the connection`() {
        var barriers = PingBarriers()
        barriers.pinged(for: a)
        barriers.pinged(for: b)
        #expect(barriers.connectionEnded() == [a, b])
        barriers.pinged()
        #expect(barriers.answer() == [])
    }

    @Test func `are not told to a call that was cancelled`() {
        var barriers = PingBarriers()
        barriers.pinged(for: a)
        barriers.pinged(for: b)
        barriers.cancel(a)
        #expect(barriers.answer() == [])
        #expect(barriers.answer() == [b])
    }
}
