// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Acknowledgements of the broker's messages` {
    private func puback(_ packetID: UInt8) -> [UInt8] { [0x40, 2, 0, packetID] }
    private func pubrec(_ packetID: UInt8) -> [UInt8] { [0x50, 2, 0, packetID] }
    private func pubcomp(_ packetID: UInt8) -> [UInt8] { [0x70, 2, 0, packetID] }

    private struct Line {
        var acknowledgements: OutgoingAcknowledgements
        var sent: [UInt8] {
            mutating get {
                var sent: [UInt8] = []
                acknowledgements.takeDue { sent += $0 }
                return sent
            }
        }

        mutating func receive(_ packetIDs: UInt16..., qos: MQTTQoS = .atLeastOnce) {
            for packetID in packetIDs { acknowledgements.received(packetID, qos) }
        }
        mutating func settle(_ packetID: UInt16, isHandled: Bool = true) {
            acknowledgements.settle(packetID, isHandled: isHandled)
        }
    }

    private func line(holds: Bool = true) -> Line { Line(acknowledgements: OutgoingAcknowledgements(holds: holds)) }

    @Test func `go at once, in the order of the packets`() {
        var line = line(holds: false)
        line.receive(1)
        line.receive(2, qos: .exactlyOnce)
        line.acknowledgements.released(2)
        line.acknowledgements.takenOver(3)
        line.acknowledgements.received(0x1234, .atLeastOnce)
        line.settle(1)
        #expect(line.sent == puback(1) + pubrec(2) + pubcomp(2) + [0x62, 2, 0, 3] + [0x40, 2, 0x12, 0x34])
        #expect(line.sent.isEmpty)
    }

    @Test func `of what is delivered go at once, unless one before is held (D1)`() {
        var line = line()
        line.acknowledgements.delivered(1, .atLeastOnce)
        #expect(line.sent == puback(1))
        line.receive(2)
        line.acknowledgements.delivered(3, .exactlyOnce)
        line.acknowledgements.delivered(4, .atLeastOnce)
        #expect(line.sent.isEmpty)
        #expect(line.acknowledgements.isBlocked)
        line.settle(2)
        #expect(line.sent == puback(2) + pubrec(3) + puback(4))
        #expect(!line.acknowledgements.isBlocked)
    }

    @Test func `are told of when their turn has come (core 5)`() {
        var acknowledgements = OutgoingAcknowledgements(holds: true)
        for packetID in 1...3 as ClosedRange<UInt16> { acknowledgements.received(packetID, .atLeastOnce) }
        var passed: [UInt16] = []
        acknowledgements.settle(2, isHandled: true) { passed.append($0) }
        #expect(passed == [])
        acknowledgements.settle(1, isHandled: false) { passed.append($0) }
        #expect(passed == [1, 2])
    }

    @Test func `are held until the message has been handled, but for PUBCOMP`() {
        var line = line()
        line.receive(1)
        line.receive(2, qos: .exactlyOnce)
        line.acknowledgements.released(9)
        #expect(line.sent == pubcomp(9))
        line.settle(1)
        line.settle(2)
        #expect(line.sent == puback(1) + pubrec(2))
    }

    @Test func `leave in the order of the messages`() {
        var line = line()
        line.receive(1, 2)
        line.receive(3, qos: .exactlyOnce)
        line.settle(3)
        line.settle(2)
        #expect(line.sent.isEmpty)
        line.settle(1)
        #expect(line.sent == puback(1) + puback(2) + pubrec(3))
    }

    @Test func `one that is abandoned holds nothing up, and its identifier counts anew`() {
        var line = line()
        line.receive(1, 2)
        line.settle(1, isHandled: false)
        line.settle(2)
        #expect(line.sent == puback(2))
        line.receive(1)
        line.settle(1)
        #expect(line.sent == puback(1))
    }

    @Test func `a message that comes twice before it is handled has one`() {
        var line = line()
        line.receive(1, qos: .exactlyOnce)
        line.receive(2)
        line.receive(1, qos: .exactlyOnce)
        line.settle(1)
        line.settle(2)
        #expect(line.sent == pubrec(1) + puback(2))
        // Acknowledges again when the packet arrives again.
        line.receive(1, qos: .exactlyOnce)
        line.settle(1)
        #expect(line.sent == pubrec(1))
    }

    @Test func `what is settled and has not come is nothing`() {
        var line = line()
        line.settle(5)
        line.receive(5)
        #expect(line.sent.isEmpty)
    }

    @Test func `every identifier may be held, and settled in any order`() {
        var line = line()
        for packetID in UInt16(1)...65_535 { line.acknowledgements.received(packetID, .atLeastOnce) }
        for packetID in (UInt16(1)...65_535).reversed() { line.settle(packetID) }
        #expect(line.sent.count == 4 * 65_535)
    }
}
