// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The AUTH packet` {
    @Test func `it is laid out as in section 3.15 of MQTT 5.0`() {
        #expect(
            PacketEncoder.auth(0x19, method: "JWT", data: [1, 2]) == [
                0xF0, 13, 0x19, 11, 0x15, 0, 3, 0x4A, 0x57, 0x54, 0x16, 0, 2, 1, 2,
            ])
        #expect(PacketEncoder.auth(0x18, method: "M", data: nil) == [0xF0, 6, 0x18, 4, 0x15, 0, 1, 0x4D])
    }

    @Test(arguments: [100, 127, 128, 16_000, 16_384, 65_535])
    func `its lengths are right for data of any size, as the decoder sees it`(size: Int) throws {
        let data = [UInt8](repeating: 7, count: size)
        let packet = PacketEncoder.auth(0x18, method: "JWT-CR", data: data)
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 268_435_460)
        try decoder.decode(packet)
        guard case .auth(let seen)? = decoder.takePackets().first else {
            Issue.record("no packet")
            return
        }
        #expect(seen == ServerAuthentication(reasonCode: 0x18, data: data))
    }

    @Test func `an empty one is a success`() throws {
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 1_000)
        try decoder.decode([0xF0, 0])
        guard case .auth(let seen)? = decoder.takePackets().first else {
            Issue.record("no packet")
            return
        }
        #expect(seen == ServerAuthentication(reasonCode: 0, data: []))
    }

    @Test func `a refusing CONNACK in the middle of a session is its refusal`() throws {
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 1_000)
        try decoder.decode([0x20, 3, 0, 0, 0])
        _ = decoder.takePackets()
        try decoder.decode([0x20, 3, 0, 0x87, 0])
        #expect(decoder.hasEnded)
        guard case .disconnect(let seen)? = decoder.takePackets().first else {
            Issue.record("no packet")
            return
        }
        #expect(seen.reasonCode == 0x87)
    }
}
