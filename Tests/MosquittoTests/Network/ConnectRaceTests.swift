// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The order of addresses` {
    @Test(arguments: [
        ([], []), (["1.1.1.1"], ["1.1.1.1"]), (["1.1.1.1", "2.2.2.2"], ["1.1.1.1", "2.2.2.2"]),
        (["::1", "::2", "1.1.1.1", "2.2.2.2"], ["::1", "1.1.1.1", "::2", "2.2.2.2"]),
        (["1.1.1.1", "2.2.2.2", "::1"], ["1.1.1.1", "::1", "2.2.2.2"]),
        (["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"], ["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"]),
        (["1.1.1.1", "::1", "::2", "::3"], ["1.1.1.1", "::1", "::2", "::3"]),
        (["fe80::1%eth0", "::2", "1.1.1.1"], ["fe80::1%eth0", "1.1.1.1", "::2"]),
    ])
    func `is the system's, with the families taking turns`(addresses: [String], expected: [String]) {
        #expect(AddressMemory.interleaved(addresses) == expected)
    }

    @Test func `leaves none out and adds none`() {
        var generator = JitterGenerator(seed: 1)
        for _ in 0..<500 {
            let addresses = (0..<Int.random(in: 0...12, using: &generator)).map {
                Bool.random(using: &generator) ? "::\($0)" : "192.0.2.\($0)"
            }
            #expect(AddressMemory.interleaved(addresses).sorted() == addresses.sorted())
            #expect(AddressMemory.interleaved(addresses).first == addresses.first)
        }
    }
}
