// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("QoS 0 is sent when the kernel has its bytes, and is sent again when the broker cannot have it", .turn(.units))
struct UnsentPublishesTests {
    private func publish(_ topic: String) -> OutgoingPublish {
        OutgoingPublish(topic: topic, payload: [], qos: .atMostOnce, retain: false, properties: .init())
    }

    /// Messages named after their end positions.
    private func unsent(
        _ ends: [Int], plain: Int, wire: Range<Int>, recordSize: Int = TLSRecord.size
    ) -> UnsentPublishes {
        var unsent = UnsentPublishes()
        for end in ends { unsent.append(publish("\(end)"), end: end) }
        unsent.written(plain, wire: wire, recordSize: recordSize)
        return unsent
    }

    private func taken(_ unsent: UnsentPublishes, _ position: Int) -> [[String]] {
        var unsent = unsent
        let all = unsent.takeAll(sent: position)
        #expect(unsent.isEmpty && unsent.popFirst(sent: .max) == nil)
        return [all.sent.map(\.topic), all.unsent.map(\.topic)]
    }

    @Test func `what was written together is complete together, in order`() {
        var unsent = unsent([10, 20], plain: 20, wire: 100..<120)
        unsent.append(publish("later"), end: 5)
        #expect(unsent.popFirst(sent: 119) == nil)
        #expect(unsent.popFirst(sent: 120)?.topic == "10")
        #expect(unsent.popFirst(sent: 120)?.topic == "20")
        #expect(unsent.popFirst(sent: 1_000) == nil, "it is not written yet")
        unsent.written(5, wire: 130..<135)
        #expect(unsent.count == 1)
        #expect(unsent.popFirst(sent: 135)?.topic == "later")
        #expect(unsent.isEmpty)
    }

    @Test(arguments: [(99, 0), (109, 0), (110, 1), (119, 1), (120, 2)])
    func `without TLS a packet needs its own bytes`(position: Int, sent: Int) {
        let taken = taken(unsent([10, 20], plain: 20, wire: 100..<120), position)
        #expect(taken == [Array(["10", "20"].prefix(sent)), Array(["10", "20"].dropFirst(sent))])
    }

    /// Three records with 22 bytes more than they hold.
    @Test(arguments: [(16_405, 0), (16_406, 1), (32_811, 1), (32_812, 2), (40_065, 2), (40_066, 3)])
    func `with TLS it needs the whole of the record that it ends in`(position: Int, sent: Int) {
        let ends = [16_384, 16_385, 40_000]
        let taken = taken(unsent(ends, plain: 40_000, wire: 0..<40_066), position)
        #expect(taken[0] == ends.prefix(sent).map(String.init))
        #expect(taken[1] == ends.dropFirst(sent).map(String.init))
    }

    /// Three records, each within a record of the proxy, with 44 bytes more than they hold.
    @Test(arguments: [(16_171, 0), (16_172, 1), (32_343, 1), (32_344, 2), (40_131, 2), (40_132, 3)])
    func `with TLS in TLS too, in smaller records`(position: Int, sent: Int) {
        let ends = [16_128, 16_129, 40_000]
        let unsent = unsent(ends, plain: 40_000, wire: 0..<40_132, recordSize: TunnelStream.pieceSize)
        #expect(taken(unsent, position)[0] == ends.prefix(sent).map(String.init))
    }

    @Test func `nothing was sent of bytes that could not be encrypted, or were not written`() {
        var unsent = unsent([10], plain: 10, wire: 50..<50)
        #expect(unsent.popFirst(sent: 1_000) == nil)
        unsent.append(publish("not written"), end: 20)
        #expect(taken(unsent, 1_000) == [[], ["10", "not written"]])
    }
}
