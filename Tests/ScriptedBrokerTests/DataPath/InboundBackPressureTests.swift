// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath.UnderLoad {
    @Suite("A consumer that does not read", .timeLimit(.minutes(3)))
    struct InboundBackPressureTests {
        @Test(arguments: Wire.allCases)
        func `holds the broker back, and gets all in order when it reads again`(wire: Wire) async throws {
            try await InboundPressure.run(wire) { pressure in
                let taken = try await pressure.taken()
                #expect(taken > 16 * NumberedPayload.size, "the buffer is filled")
                #expect(taken < 16 << 20, "\(taken) bytes were taken")
                #expect(await pressure.readAll() == Array(0..<InboundPressure.count))
            }
        }
    }
}
