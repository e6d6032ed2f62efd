// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `An address` {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ])
    func `is known without a look-up`(host: String, address: String) { #expect(HostAddresses.numeric(host) == address) }

    @Test func `keeps its scope`() { #expect(HostAddresses.numeric("fe80::1%1")?.hasPrefix("fe80::1%") == true) }

    @Test(arguments: ["", "localhost", "broker.example.com", "[::1]", "1.2.3.4.5", "::g", "256.0.0.1", "1.2.3.4 ", "*"])
    func `a name is none`(host: String) { #expect(HostAddresses.numeric(host) == nil) }
}
