// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

/// Processor time, not time: other tests run on the same cores. A debug build takes many times that of a release build,
/// which `scripts/fuzz worst` measures against 50 ms; a time that grows with the square of a size fails here.
@Suite("The packet that takes longest", .turn(.units), .timeLimit(.minutes(1)))
struct WorstPacketTests {
    @Test(arguments: WorstPacket.allCases)
    func `is decoded in a bounded time`(packet: WorstPacket) {
        let time = packet.time()
        #expect(time < .seconds(5), "\(packet): \(time)")
    }
}
