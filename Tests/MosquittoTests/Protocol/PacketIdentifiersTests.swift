// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct PacketIdentifiersTests {
    private let identifiers = PacketIdentifiers()

    @Test func countsFromOne() throws {
        #expect(try [identifiers.take(), identifiers.take(), identifiers.take()] == [1, 2, 3])
    }

    @Test func aMessageOfQoS0CountsAndUsesNothing() throws {
        identifiers.count()
        #expect(!identifiers.isInUse(1))
        #expect(try identifiers.take() == 2)
    }

    @Test func oneInUseIsSkippedWhenTheCountComesRound() throws {
        let first = try identifiers.take()
        for _ in 0..<UInt16.max - 1 { identifiers.count() }
        #expect(first == 1)
        #expect(try identifiers.take() == 2)
    }

    @Test func afterTheLastComesTheFirst() throws {
        for _ in 0..<UInt16.max - 1 { identifiers.count() }
        #expect(try [identifiers.take(), identifiers.take()] == [65_535, 1])
    }

    @Test func oneThatIsFreeAgainIsTakenAgain() throws {
        for _ in 0..<UInt16.max { _ = try identifiers.take() }
        identifiers.free(40_000)
        #expect(try identifiers.take() == 40_000)
    }

    @Test func whenAllAreInUseThereIsNone() throws {
        for _ in 0..<UInt16.max { _ = try identifiers.take() }
        let error = #expect(throws: MQTTError.self) { try identifiers.take() }
        #expect(error?.code == .system)
    }

    @Test func aForeignOneIsLeftAloneForAsLongAsTheSessionLasts() throws {
        identifiers.avoid(2)
        #expect(try [identifiers.take(), identifiers.take()] == [1, 3])
        identifiers.restart()
        identifiers.free(1)
        identifiers.forgetForeign()
        #expect(try [identifiers.take(), identifiers.take()] == [1, 2])
    }

    @Test func aResumedSessionBeginsAnywhere() throws {
        identifiers.avoidForeign()
        #expect(try identifiers.take() > 1)
    }

    @Test func oneThatHasSentGoesOn() throws {
        _ = try identifiers.take()
        identifiers.avoidForeign()
        #expect(try identifiers.take() == 2)
    }
}
